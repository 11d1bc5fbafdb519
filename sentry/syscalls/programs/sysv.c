#define _GNU_SOURCE
#include "common.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/sem.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <time.h>
union semun { int val; struct semid_ds *buf; unsigned short *array; };
int main(void) {
	setbuf(stdout, 0);
	int st;
	int id = shmget(IPC_PRIVATE, 10000, 0600);
	printf("shmget %d\n", id >= 0);
	char *p = shmat(id, 0, 0);
	printf("shmat %d\n", p != (void *)-1);
	struct shmid_ds ds;
	int sr = shmctl(id, IPC_STAT, &ds); printf("stat %d size %d nattch %d cpid %d mode %o\n", sr, (int)ds.shm_segsz, (int)ds.shm_nattch, ds.shm_cpid == getpid(), ds.shm_perm.mode);
	pid_t c = fork();
	if (!c) { strcpy(p, "from child"); shmctl(id, IPC_STAT, &ds); _exit(ds.shm_nattch); }
	waitpid(c, &st, 0);
	printf("child nattch %d text %s\n", WEXITSTATUS(st), p);
	char *q = shmat(id, 0, SHM_RDONLY);
	printf("second view %s differs %d\n", q, p != q);
	printf("rmid %d\n", shmctl(id, IPC_RMID, 0));
	shmctl(id, IPC_STAT, &ds);
	printf("dest %o nattch %d\n", ds.shm_perm.mode, (int)ds.shm_nattch);
	printf("dt %d %d\n", shmdt(p), shmdt(q));
	pe("gone", shmctl(id, IPC_STAT, &ds));
	pe("dt again", shmdt(p));
	pe("size 0", shmget(IPC_PRIVATE, 0, 0600));
	key_t k = 0x1234567;
	pe("no key", shmget(k, 100, 0));
	id = shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600);
	pe("excl", shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600));
	printf("same %d\n", shmget(k, 50, 0) == id);
	pe("too big", shmget(k, 5000, 0));
	shmctl(id, IPC_RMID, 0);
	// semaphores
	int s = semget(IPC_PRIVATE, 3, 0600);
	union semun u;
	u.val = 2;
	printf("setval %d get %d\n", semctl(s, 0, SETVAL, u), semctl(s, 0, GETVAL));
	struct sembuf op[2] = {{0, -1, 0}, {1, 1, 0}};
	printf("semop %d: %d", semop(s, op, 2), semctl(s, 0, GETVAL));
	printf(" %d\n", semctl(s, 1, GETVAL));
	struct sembuf nw = {2, -1, IPC_NOWAIT};
	pe("nowait", semop(s, &nw, 1));
	c = fork();
	if (!c) { struct sembuf w = {2, -1, 0}; _exit(semop(s, &w, 1) == 0 ? 11 : errno); }
	usleep(30000);
	printf("ncnt %d\n", semctl(s, 2, GETNCNT));
	struct sembuf up = {2, 1, 0};
	semop(s, &up, 1);
	waitpid(c, &st, 0);
	printf("woken %d pid %d\n", WEXITSTATUS(st), semctl(s, 2, GETPID) == c);
	c = fork();
	if (!c) { struct sembuf w = {2, 5, SEM_UNDO}; semop(s, &w, 1); _exit(semctl(s, 2, GETVAL)); }
	waitpid(c, &st, 0);
	printf("undo %d then %d\n", WEXITSTATUS(st), semctl(s, 2, GETVAL));
	struct timespec ts = {0, 10000000};
	struct sembuf w = {2, -1, 0};
	pe("timed", semtimedop(s, &w, 1, &ts));
	struct sembuf z = {9, -1, 0};
	pe("range", semop(s, &z, 1));
	unsigned short arr[3] = {7, 8, 9};
	u.array = arr;
	printf("setall %d\n", semctl(s, 0, SETALL, u));
	unsigned short out[3] = {0};
	u.array = out;
	pe("getall", semctl(s, 0, GETALL, u)); printf("%d %d %d\n", out[0], out[1], out[2]);
	c = fork();
	if (!c) { struct sembuf w = {0, -20, 0}; _exit(semop(s, &w, 1) == 0 ? 0 : errno); }
	usleep(30000);
	semctl(s, 0, IPC_RMID);
	waitpid(c, &st, 0);
	printf("removed %d\n", WEXITSTATUS(st));
	// messages
	int m = msgget(IPC_PRIVATE, 0600);
	struct { long t; char b[64]; } b = {3, "three"};
	printf("snd %d\n", msgsnd(m, &b, 6, 0));
	b.t = 1; strcpy(b.b, "one");
	msgsnd(m, &b, 4, 0);
	b.t = 2; strcpy(b.b, "two");
	msgsnd(m, &b, 4, 0);
	int n = msgrcv(m, &b, 64, -2, 0);
	printf("rcv -2: %d %ld %s\n", n, b.t, b.b);
	n = msgrcv(m, &b, 64, 3, MSG_EXCEPT);
	printf("rcv except 3: %d %ld %s\n", n, b.t, b.b);
	pe("too small", msgrcv(m, &b, 2, 0, 0));
	n = msgrcv(m, &b, 2, 0, MSG_NOERROR);
	printf("noerror %d %ld\n", n, b.t);
	pe("empty", msgrcv(m, &b, 64, 0, IPC_NOWAIT));
	c = fork();
	if (!c) _exit(msgrcv(m, &b, 64, 5, 0));
	usleep(20000);
	b.t = 5; msgsnd(m, &b, 9, 0);
	waitpid(c, &st, 0);
	printf("waited %d\n", WEXITSTATUS(st));
	struct msqid_ds md;
	msgctl(m, IPC_STAT, &md); printf("n %d\n", (int)md.msg_qnum);
	printf("bytes %d lspid %d\n", (int)md.msg_qbytes, md.msg_lspid == getpid());
	msgctl(m, IPC_RMID, 0);
	pe("gone", msgsnd(m, &b, 1, 0));
	return 0;
}
