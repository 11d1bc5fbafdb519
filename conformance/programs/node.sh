# platforms: trap
cat > t.js <<'J'
const fs = require('fs'), cp = require('child_process'), { Worker, isMainThread, parentPort } = require('worker_threads'), os = require('os'), zlib = require('zlib'), crypto = require('crypto');
if (!isMainThread) { parentPort.postMessage([...Array(1000).keys()].reduce((a, b) => a + b)); } else (async () => {
  fs.mkdirSync('d', { recursive: true }); fs.writeFileSync('d/a', 'x'.repeat(100000)); console.log(fs.statSync('d/a').size, fs.readdirSync('d'));
  await fs.promises.copyFile('d/a', 'd/b'); console.log((await fs.promises.readFile('d/b')).length);
  console.log(cp.execSync('echo child').toString().trim(), cp.spawnSync('sh', ['-c', 'exit 6']).status);
  const c = cp.spawn('cat'); c.stdin.end('piped'); let o = ''; for await (const d of c.stdout) o += d; console.log(o);
  console.log(await new Promise(r => new Worker(__filename).on('message', r)));
  console.log(zlib.gunzipSync(zlib.gzipSync('z'.repeat(1000))).length, crypto.createHash('sha1').update('a').digest('hex'));
  const w = fs.watch('d'); const seen = new Promise(r => w.on('change', (t, f) => r(f))); fs.writeFileSync('d/c', '1'); console.log(await seen); w.close();
  console.log(os.cpus().length > 0, os.totalmem() > 1e6, os.platform()); await new Promise(r => setTimeout(r, 50)); console.log('done');
})();
J
node t.js
