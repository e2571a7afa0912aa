// PouchDB replication: `serve FOLDER CASES` or `pull FOLDER ADDRESS`.
// Both keep their documents in LevelDB. The server is express-pouchdb without its console.
import { createRequire } from 'node:module';
import { mkdirSync } from 'node:fs';
import { documents, orders, say } from './talk.mjs';

const require = createRequire(import.meta.url);
const PouchDB = require('pouchdb-core')
  .plugin(require('pouchdb-adapter-leveldb'))
  .plugin(require('pouchdb-adapter-http'))
  .plugin(require('pouchdb-mapreduce'))
  .plugin(require('pouchdb-replication'));

const [role, folder, given] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const Local = PouchDB.defaults({ adapter: 'leveldb', prefix: folder + '/' });

async function serve() {
  const db = new Local('cases');
  if ((await db.info()).doc_count === 0) {
    let some = [];
    for await (const { id, json } of documents(given)) {
      // Bytes stand in JSON as base64; in the file they are hexadecimal.
      const events = json.events.map((event) => Buffer.from(event, 'hex').toString('base64'));
      some.push({ _id: id, ...json, events });
      if (some.length === 500) await db.bulkDocs(some.splice(0));
    }
    await db.bulkDocs(some);
  }
  const express = require('express');
  const app = express();
  const settings = { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: '/dev/null' };
  app.use('/', require('express-pouchdb')(Local, settings));
  const server = app.listen(0, '127.0.0.1', async () => {
    say({ ready: true, address: '127.0.0.1:' + server.address().port });
  });
  let changes = 0;
  await orders({
    async change() {
      const { rows } = await db.allDocs({ limit: 1, startkey: 'case', include_docs: true });
      const [{ doc }] = rows;
      await db.put({ ...doc, note: 'changed ' + ++changes });
      say({ changed: true });
    },
  });
}

async function pull() {
  const db = new Local('cases');
  await db.info();
  say({ up: true });
  const begun = performance.now();
  // PouchDB's own batch size: 100.
  const result = await db.replicate.from(new PouchDB('http://' + given + '/cases'));
  if (!result.ok || result.doc_write_failures) throw new Error(JSON.stringify(result));
  const seconds = (performance.now() - begun) / 1000;
  say({ done: true, documents: (await db.info()).doc_count, seconds });
  await orders({});
}

await (role === 'serve' ? serve() : pull());
