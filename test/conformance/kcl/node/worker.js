// A record processor of the KCL for Node.js. It appends what it does to the file
// KCL_LOG, in the name of KCL_WORKER, as ../src/Log.java does.
'use strict';
const fs = require('fs');
const kcl = require('aws-kcl');

const log = fs.openSync(process.env.KCL_LOG, fs.constants.O_WRONLY | fs.constants.O_APPEND);
const say = (...words) => fs.writeSync(log, [process.env.KCL_WORKER, ...words].join(' ') + '\n');

let shard, some = false, last = Date.now();

function checkpoint(event, checkpointer, done) {
  checkpointer.checkpoint((err) => {
    if (err) say('failed', event, shard, JSON.stringify(err));
    else say(event, shard);
    done();
  });
}

kcl({
  initialize(start, done) {
    shard = start.shardId;
    say('lease', shard);
    done();
  },
  processRecords(batch, done) {
    for (const r of batch.records) {
      say('record', shard, r.sequenceNumber, r.partitionKey, Buffer.from(r.data, 'base64').toString('hex'));
      some = true;
    }
    if (!some || Date.now() - last <= 2000) return done();
    some = false;
    last = Date.now();
    checkpoint('checkpoint', batch.checkpointer, done);
  },
  leaseLost(_, done) {
    say('lost', shard);
    done();
  },
  shardEnded(end, done) {
    checkpoint('end', end.checkpointer, done);
  },
  shutdownRequested(leave, done) {
    checkpoint('leave', leave.checkpointer, done);
  },
}).run();
