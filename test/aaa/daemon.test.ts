import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { aaaSchema } from '../../src/aaa/config/options.js';
import { AaaDaemon } from '../../src/aaa/daemon.js';
import { systemAaaSurroundings } from '../../src/aaa/surroundings.js';
import { DEAF } from '../deaf-surroundings.js';
import { makePki } from '../runtime/eap/eap-run.js';

it('AaaDaemon creates the folder of its store with mode 0700 before it opens the store', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pana-aaa-'));
  const { ca, server } = await makePki('p256');
  const tls = { ca: join(folder, 'ca'), certificate: join(folder, 'certificate'), key: join(folder, 'key') };
  await writeFile(tls.ca, ca.certificatePem);
  await writeFile(tls.certificate, server.certificatePem);
  await writeFile(tls.key, server.keyPem, { mode: 0o600 });
  const options = aaaSchema.parse({
    store: join(folder, 'of', 'the', 'store', 'store.db'),
    diameter: { host: 'aaa.home.example', realm: 'home.example', peers: [] },
    tls,
    hooks: { 'state-dir': join(folder, 'state') },
  });
  const found: (number | undefined)[] = [];
  const starting = AaaDaemon.start(options, pino({ level: 'silent' }), undefined, {
    ...{ ...systemAaaSurroundings, ...DEAF },
    openStore: (where) => {
      const place = dirname(where);
      found.push(existsSync(place) ? statSync(place).mode & 0o777 : undefined);
      return Promise.reject(new Error('stop here'));
    },
  });
  await expect(starting).rejects.toThrow('stop here');
  expect(found).toEqual([0o700]);
  await rm(folder, { recursive: true, force: true });
});
