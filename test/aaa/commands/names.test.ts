import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namesFor } from '../../../src/aaa/commands/names.js';
import { StoreUser } from '../../store/fixtures.js';
import { type RunningServer, runningServer } from './running-server.js';

let server: RunningServer;
let homeAddress: string;

beforeAll(async () => {
  server = await runningServer();
  const user = new StoreUser(() => server.store);
  await user.addAgent(1);
  await user.addSubscriber('mn@home.example');
  ({ homeAddress } = (await user.given('mn@home.example', 'paa;1;2')).lease);
});

afterAll(() => server.stop());

const names = (group: string, command: string, more: object = {}) =>
  namesFor({ commands: [group, command], positionals: [], flags: server.flags, flag: undefined, last: '', ...more });

describe('Completion of names from the store', () => {
  it.each(['set', 'show', 'enable', 'disable', 'remove'])(
    'completes subscribers for "subscriber %s"',
    async (command) => {
      expect(await names('subscriber', command)).toEqual(['mn@home.example']);
    },
  );

  it.each(['set', 'show', 'up', 'drain', 'down', 'remove'])(
    'completes home agents for "home-agent %s"',
    async (command) => {
      expect(await names('home-agent', command)).toEqual(['ha1']);
    },
  );

  it.each(['show', 'release', 'list', 'history'])(
    'completes subscribers and home addresses for "lease %s"',
    async (command) => {
      expect(await names('lease', command)).toEqual(['mn@home.example', homeAddress]);
    },
  );

  it.each(['list', 'show', 'disconnect', 'reauth'])(
    'completes subscribers and Session-Ids for "session %s"',
    async (command) => {
      expect(await names('session', command)).toEqual(['mn@home.example', 'paa;1;2']);
    },
  );

  it('completes home agents after --home-agent', async () => {
    expect(await names('subscriber', 'add', { flag: 'home-agent' })).toEqual(['ha1']);
  });

  it.each([
    ['subscriber', 'add', {}],
    ['subscriber', 'show', { positionals: ['mn@home.example'] }],
    ['subscriber', 'show', { flag: 'config' }],
    ['nothing', 'show', {}],
    ['subscriber', 'show', { flags: { store: '/nowhere/store.db', 'control.socket': '/nowhere/control.sock' } }],
  ])('completes nothing for "%s %s" with %j', async (group, command, more) => {
    expect(await names(group, command, more)).toEqual([]);
  });
});
