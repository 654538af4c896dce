set -e
git -c credential.helper= clone -q "https://someone:$API_KEY@${URL#https://}/git/demo.git" "$WORK/clone"
cd "$WORK/clone"
echo more > more.txt
git add more.txt
git -c user.name=t -c user.email=t@localhost commit -q -m more
git push -q origin HEAD
git log --oneline
