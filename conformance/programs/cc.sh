# platforms: trap ptrace
# gcc, and make -j4 of zlib from Debian's source package, with its own tests.
set -e
cat > h.c <<'C'
#include <stdio.h>
#include <pthread.h>
static void *f(void *x) { return x; }
int main(void) { pthread_t t; void *r; pthread_create(&t, 0, f, "thread"); pthread_join(t, &r); printf("hello %s\n", (char *)r); return 42; }
C
gcc -O2 -Wall -o h h.c -pthread; ./h || echo $?
gcc -static -o hs h.c -pthread; ./hs || echo $?
echo 'int main(){return undefined_thing;}' > bad.c; gcc bad.c 2>/dev/null || echo "gcc says $?"
