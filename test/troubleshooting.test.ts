import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { makeCrl, validFor } from '../dist/pki/certificate-authority.js';
import { eventually } from './eventually.js';
import { Network, type Tree } from './mistakes.js';
import { shows } from './page.js';

const SUBSCRIBER = { nai: 'mn1@home.example', enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace' };

/** Makes a mistake. A daemon that does not start rejects; what it printed counts. */
type Mistake = (network: Network) => Promise<unknown>;

const pac = (over: Tree) => (network: Network) => network.start('pana-pac', over);

/** Starts all three, with a subscriber, unless a mistake prevents it. */
const all =
  (over: { readonly aaa?: Tree; readonly paa?: Tree; readonly pac?: Tree }, subscriber: object = SUBSCRIBER): Mistake =>
  async (network) => {
    await network.start('pana-aaa', over.aaa);
    await network.administer('addSubscriber', { subscriber });
    await network.start('pana-paa', over.paa);
    await network.start('pana-pac', over.pac);
  };

/** The certificates of another CA. */
async function otherPki(): Promise<Network> {
  return Network.make();
}

const pem = (network: Network, name: string) => readFile(network.path('pki', `${name}.pem`), 'utf8');

/** How each mistake of the page is made, by its heading. */
const MISTAKES: Readonly<Record<string, Mistake>> = {
  'A key is misspelt': pac({ tls: { certificat: '/x' } }),
  'A key is missing': pac({ tls: { 'server-name': undefined } }),
  'The file belongs to another daemon': (network) =>
    network.read('pana-aaa', stringify(network.tree('pana-paa', { diameter: { peers: [] } }))),
  'A certificate file is not there': (network) => pac({ tls: { ca: network.path('pki', 'cacert.pem') } })(network),
  'Everybody can read the key': async (network) => {
    await chmod(network.path('pki', 'mn1-key.pem'), 0o644);
    await network.start('pana-pac');
  },
  'Key and certificate do not match': (network) => pac({ tls: { key: network.path('pki', 'aaa-key.pem') } })(network),
  'The certificate has expired': async (network) => {
    const past = { notBefore: new Date(Date.now() - 2e9), notAfter: new Date(Date.now() - 1e9) };
    await network.pki.renew('mn1', { ...validFor(1), ...past });
    await network.start('pana-pac');
  },
  'The host does not have the address': (network) =>
    network.start('pana-paa', { pana: { listen: ['2001:db8:77::1'] } }),
  'Another program has the port': async (network) => {
    const socket = createSocket('udp6').bind(0, '::1');
    onTestFinished(() => void socket.close());
    await once(socket, 'listening');
    await network.start('pana-paa', { pana: { port: socket.address().port } });
  },
  'Two servers use one store': async (network) => {
    await network.start('pana-aaa');
    await network.start('pana-aaa', { control: { socket: network.path('second.sock') } });
  },
  'A peer may connect from nowhere': (network) =>
    network.start('pana-aaa', { diameter: { listen: ['::'], peers: [{ host: 'paa.access.example' }] } }),
  'No PAA answers': pac({}),
  'There is no address on the interface': pac({ pana: { paa: ['2001:db8::1'], interface: 'eth9' } }),
  'Node and PAA have no common algorithm': async (network) => {
    await network.start('pana-paa', { pana: { prf: ['sha1'], integrity: ['sha1'] } });
    await network.start('pana-pac', { pana: { prf: ['sha256'], integrity: ['sha256'] } });
  },
  "The server's certificate has another name": all({ pac: { tls: { 'server-name': 'aaa.other.example' } } }),
  "The node does not know the server's CA": async (network) =>
    all({ pac: { tls: { ca: (await otherPki()).path('pki', 'ca.pem') } } })(network),
  'The server refuses the node': all({}, { ...SUBSCRIBER, nai: 'mn2@home.example' }),
  'Access without Mobile IPv6': all({}),
  'A hook cannot be run': async (network) => {
    await network.start('pana-aaa');
    await network.administer('addSubscriber', { subscriber: SUBSCRIBER });
    const place = { address: '2001:db8:1::1', host: 'ha1.home.example', prefix: '2001:db8:1::/64' };
    await network.administer('addHomeAgent', {
      agent: { name: 'ha1', ...place, capacity: 10, weight: 1, ike: ['ikev2'] },
    });
    await network.start('pana-paa');
    await network.start('pana-pac', { hooks: { mn: '/nosuch/mn-linux.sh' } });
  },
  'The AAA server cannot be reached': async (network) => {
    await network.start('pana-paa');
    await network.start('pana-pac');
  },
  'The AAA server refuses the PAA': async (network) => {
    await network.start('pana-aaa', { diameter: { peers: [] } });
    await network.start('pana-paa');
  },
  'No server for the realm': all({ pac: { eap: { identity: 'mn1@hoem.example' } } }),
  'The enforcement point cannot be set up': (network) => network.start('pana-paa', { hooks: { ep: '/nosuch/ep.sh' } }),
  'A PAA connects from another address': async (network) => {
    await network.start('pana-aaa', { diameter: { peers: [{ host: 'paa.access.example', from: ['2001:db8::1'] }] } });
    await network.start('pana-paa');
  },
  'A PAA is not listed': async (network) => {
    await network.start('pana-aaa', { diameter: { peers: [] } });
    await network.start('pana-paa');
  },
  'There is no such subscriber': all({}, { ...SUBSCRIBER, nai: 'mn2@home.example' }),
  'The subscriber is disabled': all({}, { ...SUBSCRIBER, enabled: false }),
  "The node's certificate is revoked": async (network) => {
    await network.pki.revoke('mn1');
    await all({})(network);
  },
  "The node's certificate is of another CA": async (network) => {
    const other = await otherPki();
    const tls = { ca: other.path('pki', 'ca.pem'), crl: other.path('pki', 'crl.pem') };
    await all({ aaa: { tls } })(network);
  },
  'The CRL has expired': async (network) => {
    const [certificatePem, keyPem] = await Promise.all([pem(network, 'ca'), pem(network, 'ca-key')]);
    const crl = await makeCrl({ certificatePem, keyPem }, [], new Date(Date.now() - 2e9), new Date(Date.now() - 1e9));
    await writeFile(network.path('pki', 'crl.pem'), crl);
    await all({})(network);
  },
  'Node and server have no common TLS version': all({ aaa: { tls: { 'max-version': '1.2' } } }),
  'The node refuses the server': all({ pac: { tls: { 'server-name': 'aaa.other.example' } } }),
  'There is no home agent': all({}),
};

const page = await readFile('docs/troubleshooting.md', 'utf8');
const entries = [...page.matchAll(/^### (.+)\n\n```\n((?:(?!```).*\n)+)```$/gm)].map(
  ([, heading = '', lines = '']) => ({
    heading,
    lines: lines.trim().split('\n'),
  }),
);

describe('docs/troubleshooting.md', () => {
  it('has a log line for each entry, and a test for each', () => {
    const headings = [...page.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
    expect(entries.map(({ heading }) => heading)).toEqual(headings);
    expect(Object.keys(MISTAKES).sort()).toEqual([...headings].sort());
    expect(entries.length).toBeGreaterThanOrEqual(20);
  });

  it.each(entries)('has the line that is printed if: $heading', async ({ heading, lines }) => {
    const network = await Network.make();
    await MISTAKES[heading]?.(network).catch((error: unknown) => {
      if (network.printed === '') throw error;
    });
    for (const line of lines) {
      await eventually(() => {
        if (!shows(line, network.printed)) throw new Error(`${line}\n--- is not in ---\n${network.printed}`);
      });
    }
  });
});
