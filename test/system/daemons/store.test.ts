import { rename } from 'node:fs/promises';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab } from '../../../dist/lab/lab.js';
import type { LogEvent } from '../../../src/runtime/log/events.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import { run } from '../../daemons/program.js';
import { eventually } from '../../eventually.js';

let lab: Lab;
let aaa: DaemonProcess;

beforeAll(async () => {
  lab = await Lab.make({ hooks: false, logLevel: 'info' });
  ({ daemon: aaa } = await lab.startAaa());
});

afterAll(() => lab?.close());

const said = (message: LogEvent) => aaa.lines.filter(({ msg }) => msg === message);
const LOST = 'store unavailable';

/** Sends a body to the control socket; resolves to status and error. */
function ask(body: string): Promise<{ status: number | undefined; error: string }> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: lab.socket('aaa'), method: 'POST', path: '/store' }, (answer) => {
      let text = '';
      answer.on('data', (part) => {
        text += part;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, error: JSON.parse(text).error }));
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

describe('A malformed store request', () => {
  it.each([
    ['', 'operation'],
    ['null', 'operation'],
    ['[]', 'the body'],
    ['{}', 'operation'],
    ['{"operation":7,"arguments":{}}', 'operation'],
    ['{"operation":"listSubscribers"}', 'arguments'],
    ['{"operation":"addSubscriber","arguments":{}}', 'subscriber'],
    ['{"operation":"addSubscriber","arguments":{"subscriber":{"nai":7}}}', 'subscriber.nai'],
    ['{"operation":"removeSubscriber","arguments":{"nai":null}}', 'nai'],
    ['{"operation":"changeSubscriber","arguments":{"nai":"mn@home.example"}}', 'change'],
    ['{"operation":"listLeases","arguments":{"limit":-1}}', 'limit'],
    ['{"operation":"listLeases","arguments":{"of":{"a":1}}}', 'of'],
    ['{"operation":"showLease","arguments":{"of":"a\\u0000b"}}', 'of'],
    ['{"operation":"showLease","arguments":{"of":"\\ud800"}}', 'of'],
    ['{"operation":"addHomeAgent","arguments":{"agent":{"name":"x","ike":["ikev3"]}}}', 'agent.capacity'],
    ['{"operation":"stageImport","arguments":{"importId":"a","rows":[{"line":1}]}}', 'rows.0.subscriber'],
    ['{"operation":"listSubscribers","arguments":{"sql":"DROP TABLE subscribers"}}', 'sql'],
    ['{"operation":"bootstrap","arguments":{}}', 'unknown operation bootstrap'],
    ['{"operation":"constructor","arguments":{}}', 'unknown operation constructor'],
    ['{"operation":"statistics","arguments":{},"who":"a\\u0000"}', 'who'],
  ])('is rejected and changes nothing: %s', async (body, where) => {
    const { status, error } = await ask(body);
    expect(status).toBe(400);
    expect(error).toContain(where);
    await expect(
      callDaemon(lab.socket('aaa'), 'POST', '/store', { operation: 'statistics', arguments: {} }),
    ).resolves.toBeDefined();
    expect(said('fault contained')).toEqual([]);
  });
});

describe('A SQLite file that a server has open', () => {
  it('is refused to a second server, which exits with status 1', async () => {
    const other = [
      '--control.socket',
      lab.socket('second'),
      '--diameter.port',
      '0',
      '--hooks.state-dir',
      lab.path('second'),
    ];
    const { status, stderr } = await run('aaa', ['run', '-c', lab.path('aaa.yaml'), ...other]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${lab.path('aaa.db')}: another server or command has this store open`);
  });

  it('is refused to commands that do not reach the server, except backup', async () => {
    const place = ['--store', lab.path('aaa.db'), '--control.socket', lab.socket('none')];
    for (const command of [
      ['stats'],
      ['subscriber', 'add', 'mn@home.example'],
      ['store', 'restore', lab.path('aaa.db')],
    ]) {
      const { status, stderr } = await run('aaa', [...command, ...place]);
      expect(status).toBe(2);
      expect(stderr).toMatch(
        /another server or command has this store open|a server has this store open, but does not answer at/,
      );
    }
    expect((await run('aaa', ['store', 'backup', lab.path('backup.db'), ...place])).status).toBe(0);
  });

  it('is reported unavailable while it is moved away and available when it is back', async () => {
    const away = lab.path('away.db');
    await rename(lab.path('aaa.db'), away);
    expect(await aaa.line(LOST)).toMatchObject({ reason: expect.stringMatching(/aaa\.db was deleted/) });
    expect(await ask('{"operation":"statistics","arguments":{}}')).toMatchObject({
      status: 503,
      error: expect.stringContaining('was deleted'),
    });
    expect(await callDaemon(lab.socket('aaa'), 'GET', '/status')).toMatchObject({
      homeAgents: expect.stringContaining('was deleted'),
      conversations: 0,
    });
    const metrics = String(await callDaemon(lab.socket('aaa'), 'GET', '/metrics'));
    expect(Number(/^pana_aaa_store_failures_total\{class="upkeep"\} (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(0);
    await rename(away, lab.path('aaa.db'));
    await aaa.line('store available');
    await rename(lab.path('aaa.db'), away);
    await eventually(() => expect(said(LOST)).toHaveLength(2));
    await rename(away, lab.path('aaa.db'));
    await eventually(() => expect(said('store available')).toHaveLength(2));
  });
});
