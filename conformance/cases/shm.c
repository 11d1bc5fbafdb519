#include "case.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

// Keys and segments belong to the case: their numbers are not printed, and they are removed.
union semun { int val; struct semid_ds *buf; unsigned short *array; };

CASE(shm_attach_and_share)
{
	int id = need(shmget(IPC_PRIVATE, 5000, 0600 | IPC_CREAT));
	char *p = shmat(id, NULL, 0), *q = shmat(id, NULL, SHM_RDONLY);
	say("attached: %d %d, at a page: %d", p != (void *)-1, q != (void *)-1, ((long)p & 4095) == 0);
	strcpy(p, "hello");
	say("%s", q);
	pid_t c = need(fork());
	if (!c) {
		strcpy(p, "child");
		see("detach", shmdt(q));
		_exit(0);
	}
	reap("child", c);
	say("%s", q);
	struct shmid_ds d;
	see("stat", shmctl(id, IPC_STAT, &d));
	say("size %ld attached %ld mode %o creator %d last %d", (long)d.shm_segsz, (long)d.shm_nattch, d.shm_perm.mode, d.shm_cpid == getpid(), d.shm_lpid == c);
	see("remove", shmctl(id, IPC_RMID, NULL));
	shmctl(id, IPC_STAT, &d);
	say("marked: mode %o", d.shm_perm.mode);
	say("still there: %s", q);
	see("detach", shmdt(p));
	see("detach twice", shmdt(p));
	see("detach", shmdt(q));
	see("gone", shmctl(id, IPC_STAT, &d));
	see("attach", (long)shmat(id, NULL, 0));
}

CASE(shm_errors)
{
	key_t k = 0x10000 + getpid();
	struct shmid_ds d;
	see("none", shmget(k, 100, 0));
	see("size 0", shmget(k, 0, IPC_CREAT | 0600));
	see("huge", shmget(k, -1, IPC_CREAT | 0600));
	int id = need(shmget(k, 100, IPC_CREAT | 0600));
	see("exclusive", shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600));
	see("same", shmget(k, 100, 0) == id);
	see("larger", shmget(k, 5000, 0));
	see("at an odd address", (long)shmat(id, (void *)0x10000001, 0));
	say("rounded: %d", shmat(id, (void *)0x10000001, SHM_RND) == (void *)0x10000000);
	see("where something is", (long)shmat(id, (void *)0x10000000, 0));
	say("remap: %d", shmat(id, (void *)0x10000000, SHM_REMAP) == (void *)0x10000000);
	see("remap anywhere", (long)shmat(id, NULL, SHM_REMAP));
	see("no such", (long)shmat(-1, NULL, 0));
	see("detach nothing", shmdt((void *)0x20000000));
	see("command", shmctl(id, 99, NULL));
	see("bad buffer", shmctl(id, IPC_STAT, (void *)1));
	need(setresuid(1000, 1000, 1000));
	see("as user: attach", (long)shmat(id, NULL, 0));
	see("as user: get", shmget(k, 100, 0600));
	see("as user: stat", shmctl(id, IPC_STAT, &d));
	see("as user: remove", shmctl(id, IPC_RMID, NULL));
}

CASE(shm_over_exec_and_exit)
{
	int id = need(shmget(IPC_PRIVATE, 4096, 0600));
	struct shmid_ds d;
	char *p = shmat(id, NULL, 0);
	pid_t c = need(fork());
	if (!c) {
		execl("/bin/true", "true", NULL);
		_exit(9);
	}
	reap("exec", c);
	shmctl(id, IPC_STAT, &d);
	say("attached %ld", (long)d.shm_nattch);
	munmap(p, 4096);
	shmctl(id, IPC_STAT, &d);
	say("munmap detaches: %ld", (long)d.shm_nattch);
	see("remove", shmctl(id, IPC_RMID, NULL));
}

CASE(sem_operations)
{
	int id = need(semget(IPC_PRIVATE, 3, 0600));
	union semun u;
	unsigned short v[3] = {1, 2, 3};
	u.array = v;
	see("set all", semctl(id, 0, SETALL, u));
	see("get", semctl(id, 1, GETVAL));
	struct sembuf o[2] = {{0, -1, 0}, {1, 5, 0}};
	see("two at once", semop(id, o, 2));
	say("%d %d", semctl(id, 0, GETVAL), semctl(id, 1, GETVAL));
	o[0] = (struct sembuf){0, -1, IPC_NOWAIT};
	see("would wait", semop(id, o, 2));
	say("nothing was done: %d", semctl(id, 1, GETVAL));
	o[0] = (struct sembuf){0, 0, IPC_NOWAIT};
	see("wait for zero", semop(id, o, 1));
	o[0] = (struct sembuf){2, 0, IPC_NOWAIT};
	see("not zero", semop(id, o, 1));
	o[0] = (struct sembuf){7, 1, 0};
	see("number", semop(id, o, 1));
	o[0] = (struct sembuf){0, 32767, 0};
	see("up to the maximum", semop(id, o, 1));
	o[0].sem_op = 1;
	see("over it", semop(id, o, 1));
	u.val = 70000;
	see("set too much", semctl(id, 0, SETVAL, u));
	see("none", semop(id, o, 0));
	see("too many", semop(id, o, 501));
	see("bad pointer", semop(id, (void *)1, 1));
	see("semnum", semctl(id, 3, GETVAL));
	see("pid", semctl(id, 0, GETPID) == getpid());
	see("waiting", semctl(id, 0, GETNCNT));
	see("remove", semctl(id, 0, IPC_RMID));
	see("gone", semop(id, o, 1));
	see("0 of them", semget(IPC_PRIVATE, 0, 0600));
	see("too many", semget(IPC_PRIVATE, 100000, 0600));
}

CASE(sem_waiting_and_undo)
{
	int id = need(semget(IPC_PRIVATE, 2, 0600)), id2;
	union semun u = {.val = 3};
	struct sembuf undo = {0, -2, SEM_UNDO}, down = {1, -1, 0}, up = {1, 1, 0};
	need(semctl(id, 0, SETVAL, u));
	pid_t p = need(fork());
	if (!p) {
		semop(id, &undo, 1);
		say("inside %d", semctl(id, 0, GETVAL));
		_exit(0);
	}
	reap("child", p);
	say("undone %d", semctl(id, 0, GETVAL));
	p = need(fork());
	if (!p)
		_exit(semop(id, &down, 1) ? errno : 0);
	while (semctl(id, 1, GETNCNT) != 1)
		msleep(1);
	see("up", semop(id, &up, 1));
	reap("woken", p);
	struct timespec t = {0, 10000000};
	see("timeout", semtimedop(id, &down, 1, &t));
	p = need(fork());
	if (!p)
		_exit(semop(id, &down, 1) ? errno == EIDRM ? 1 : 2 : 0);
	while (semctl(id, 1, GETNCNT) != 1)
		msleep(1);
	see("remove", semctl(id, 0, IPC_RMID));
	reap("EIDRM", p);
}

CASE(message_queues)
{
	struct { long type; char text[32]; } m = {1, "first"};
	int id = need(msgget(IPC_PRIVATE, 0600));
	see("send", msgsnd(id, &m, 6, 0));
	m.type = 5;
	strcpy(m.text, "fifth");
	see("send", msgsnd(id, &m, 6, 0));
	m.type = 3;
	strcpy(m.text, "third");
	see("send", msgsnd(id, &m, 6, 0));
	see("by type", msgrcv(id, &m, 32, 5, 0));
	say("%ld %s", m.type, m.text);
	see("too big", msgrcv(id, &m, 2, 0, 0));
	see("lowest up to 4", msgrcv(id, &m, 32, -4, 0));
	say("%ld %s", m.type, m.text);
	see("not 3", msgrcv(id, &m, 32, 3, IPC_NOWAIT | MSG_EXCEPT));
	see("cut", msgrcv(id, &m, 2, 0, MSG_NOERROR));
	say("%ld %.2s", m.type, m.text);
	see("empty", msgrcv(id, &m, 32, 0, IPC_NOWAIT));
	m.type = 0;
	see("type 0", msgsnd(id, &m, 1, 0));
	m.type = 1;
	see("size", msgsnd(id, &m, 1 << 20, 0));
	see("negative size", msgsnd(id, &m, -1, 0));
	see("bad pointer", msgsnd(id, (void *)1, 1, 0));
	struct msqid_ds d;
	msgsnd(id, &m, 10, 0);
	see("stat", msgctl(id, IPC_STAT, &d));
	say("messages %ld bytes %ld", (long)d.msg_qnum, (long)d.__msg_cbytes);
	pid_t p = need(fork());
	if (!p) {
		msgrcv(id, &m, 32, 9, 0);
		_exit(errno == EIDRM);
	}
	msleep(20);
	see("remove", msgctl(id, IPC_RMID, NULL));
	reap("EIDRM", p);
}

CASE(posix_shared_memory)
{
	char n[64];
	snprintf(n, sizeof n, "/conformance-%d", getpid());
	int fd = need(open("/dev/shm", O_RDONLY | O_DIRECTORY));
	int f = need(openat(fd, n + 1, O_CREAT | O_EXCL | O_RDWR, 0600));
	see("size", ftruncate(f, 4096));
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	pid_t c = need(fork());
	if (!c) {
		int g = need(openat(fd, n + 1, O_RDWR));
		char *q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, g, 0);
		strcpy(q, "shared");
		_exit(0);
	}
	reap("child", c);
	say("%s", p);
	see("unlink", unlinkat(fd, n + 1, 0));
}
