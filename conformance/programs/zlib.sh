# platforms: trap
# minutes: 6
set -e
tar xf "$SOURCES"/zlib_*.orig.tar.*; cd zlib-*
./configure >/dev/null; make -j4 >/dev/null 2>&1; make test 2>&1 | grep -i 'OK' | sort
