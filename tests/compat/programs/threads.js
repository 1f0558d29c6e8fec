// Worker threads that share memory, and libuv's pool.
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
if (!isMainThread) {
  const cells = new Int32Array(workerData);
  for (let i = 0; i < 1000; i++) Atomics.add(cells, 0, 1);
  Atomics.add(cells, 1, 1); Atomics.notify(cells, 1);
  parentPort.postMessage('done');
} else {
  (async () => {
    const shared = new SharedArrayBuffer(8);
    const cells = new Int32Array(shared);
    const workers = [1, 2, 3].map(() => new Worker(__filename, { workerData: shared }));
    const said = await Promise.all(workers.map(worker => new Promise((good, bad) => {
      let word;
      worker.on('message', message => { word = message; });
      worker.on('error', bad);
      worker.on('exit', () => good(word));
    })));
    console.log(said.join(' '), cells[0], cells[1]);
    const keys = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(n => new Promise((good, bad) => crypto.pbkdf2('p' + n, 'salt', 1000, 16, 'sha256', (e, k) => e ? bad(e) : good(k.toString('hex'))))));
    console.log(keys.join('\n'));
    console.log((await fs.promises.stat('/etc/passwd')).isFile());
    console.log(require('child_process').execSync('echo from a child').toString().trim());
  })();
}
