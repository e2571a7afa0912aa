// automerge-repo over WebSocket: `serve FOLDER CASES` or `pull FOLDER ADDRESS NAMES`.
// Both keep their documents in files. The documents are those that the cases were exported as,
// with their whole history; their strings are scalars (RawString), as they were written.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { RawString } from '@automerge/automerge';
import { Repo } from '@automerge/automerge-repo';
import {
  WebSocketClientAdapter,
  WebSocketServerAdapter,
} from '@automerge/automerge-repo-network-websocket';
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs';
import { WebSocketServer } from 'ws';
import { documents, orders, say } from './talk.mjs';

// More at once and documents come back as unavailable.
const IN_FLIGHT = 20;

const [role, folder, given, names] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const storage = new NodeFSStorageAdapter(folder + '/documents');

async function serve() {
  const list = folder + '/names.json';
  const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((done) => sockets.once('listening', done));
  const repo = new Repo({
    storage,
    network: [new WebSocketServerAdapter(sockets)],
    sharePolicy: async () => false,
  });
  let all = [];
  if (existsSync(list)) all = JSON.parse(readFileSync(list));
  else {
    for await (const { automerge } of documents(given)) {
      const handle = repo.import(new Uint8Array(Buffer.from(automerge, 'hex')));
      await handle.whenReady();
      all.push(handle.url);
    }
    await repo.flush();
    writeFileSync(list, JSON.stringify(all));
  }
  say({ ready: true, address: '127.0.0.1:' + sockets.address().port, names: list });
  let changes = 0;
  await orders({
    async change() {
      const handle = await repo.find(all.at(-1));
      handle.change((doc) => {
        doc.notes.changed = new RawString('changed ' + ++changes);
      });
      await repo.flush();
      say({ changed: true });
    },
  });
}

async function pull() {
  const all = JSON.parse(readFileSync(names));
  const network = [new WebSocketClientAdapter('ws://' + given)];
  const repo = new Repo({ storage, network });
  say({ up: true });
  const begun = performance.now();
  await new Promise((met) => repo.networkSubsystem.once('peer', met));
  let [next, held] = [0, 0];
  const some = async () => {
    while (next < all.length) {
      const handle = await repo.find(all[next++]);
      if (handle.doc()) held += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, some));
  await repo.flush();
  say({ done: true, documents: held, seconds: (performance.now() - begun) / 1000 });
  await orders({});
}

await (role === 'serve' ? serve() : pull());
