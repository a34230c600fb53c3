/* express-pouchdb as a server of a bench: `node pouch.js FOLDER`, with NODE_PATH where its packages are.
 *
 * Rules: those of bench/server.py. It prints one line, its port and a key, and then for each line that comes the
 * nanoseconds of CPU time that the process took so far. It ends with its standard input. PouchDB keeps its documents in
 * LevelDB and answers before a write is flushed, so it is given that.
 */
'use strict';
const express = require('express');
const pouch = require('express-pouchdb');
const PouchDB = require('pouchdb-node').defaults({prefix: process.argv[2] + '/'});
const readline = require('readline');

const application = express();
application.disable('x-powered-by');
application.use('/', pouch(PouchDB, {mode: 'minimumForPouchDB', inMemoryConfig: true}));

new PouchDB('docs').info().then(() => {
    const server = application.listen(0, '127.0.0.1', () => {
        console.log(JSON.stringify({port: server.address().port, key: ''}));
    });
    const lines = readline.createInterface({input: process.stdin});
    lines.on('line', () => {
        const {user, system} = process.cpuUsage();
        console.log((user + system) * 1000);
    });
    lines.on('close', () => process.exit(0));
});
