# platforms: trap user
set -e
export HOME=$PWD GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='2001-01-01T00:00:00Z' GIT_COMMITTER_DATE='2001-01-01T00:00:00Z'
git init -q -b main r; cd r
for i in 1 2 3 4 5 6 7 8; do seq $i 200 > f$i; git add .; git commit -q -m "c$i"; done
git log --format='%h %s'; git status --short; git diff --stat HEAD~3 | tail -1
git checkout -q -b side HEAD~2; echo side >> f1; git commit -qam side; git checkout -q main; git merge -q -m merge side; git log --oneline | wc -l
cd ..; git clone -q r c; cd c; git gc -q --prune=now; git fsck --full 2>&1 | grep -v dangling || true; git count-objects | cut -d' ' -f1; git rev-parse HEAD
git grep -c 17 | head -3; git archive HEAD | tar t | wc -l; git stash list | wc -l; git blame f1 | tail -1 | cut -c1-8
