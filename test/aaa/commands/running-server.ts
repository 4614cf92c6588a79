import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlServer } from '../../../src/runtime/service/control.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { SqliteBackend } from '../../../src/store/database.js';
import { StoreEngine } from '../../../src/store/engine.js';

/** The part of a running server that commands use: its control socket, with a store in memory behind it. */
export interface RunningServer {
  /** A folder for files of the test. */
  readonly folder: string;
  readonly store: StoreEngine;
  /** Flags that direct commands to this server. */
  readonly flags: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function runningServer(): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), 'pana-commands-'));
  const backend = await SqliteBackend.open(':memory:');
  const store = await StoreEngine.open(backend, systemHost);
  const socket = join(folder, 'control.sock');
  const server = await ControlServer.onSocket(socket, {
    'POST /store': async ({ body }) => {
      const { operation, arguments: given } = body as { readonly operation: string; readonly arguments: unknown };
      return (await store.administer(operation, given, 'root')).result;
    },
  });
  return {
    folder,
    store,
    flags: { 'control.socket': socket },
    stop: async () => {
      await server.close();
      await store.close();
      await backend.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
