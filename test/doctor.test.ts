// Long, because it has a row for each mistake that doctor finds.

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCrl } from '../dist/pki/certificate-authority.js';
import { type Files, systemComputer } from '../dist/runtime/doctor/computer.js';
import { lineOf, statusOf } from '../dist/runtime/doctor/finding.js';
import { commandAs, computerFor, unitOf } from '../dist/runtime/doctor/unit.js';
import { systemHost } from '../dist/runtime/system/host.js';
import { Store } from '../dist/store/store.js';
import { findings, findingsIn, lines, type Parts } from './doctor.js';
import { Network, type Tree } from './mistakes.js';

/** A mistake: what is configured or done wrong, and the line that finds it. */
type Mistake = readonly [
  what: string,
  daemon: 'pana-aaa' | 'pana-paa' | 'pana-pac' | 'pana-pre',
  made: (network: Network) => Made | Promise<Made>,
  found: string,
];
interface Made {
  readonly over?: Tree;
  readonly parts?: Parts;
  /** Whether sockets are those of the computer. Without them no check waits for an answer. */
  readonly asks?: true;
}

/** No route to anywhere. */
const UNROUTED = {
  open: () => Promise.resolve({ close: () => Promise.resolve() } as never),
  connect: () => Promise.reject(Object.assign(new Error('connect'), { code: 'ENETUNREACH' })),
};

const over = (tree: Tree) => () => ({ over: tree });
const hook =
  (key: 'mn' | 'ep' | 'ha', text: string, mode = 0o755) =>
  async (network: Network) => {
    const path = network.path('hook.sh');
    await writeFile(path, text, { mode });
    await chmod(path, mode);
    return { over: { hooks: { [key]: path } } };
  };

/** Files on which some paths may not be accessed, as for a user who is not root. */
const denied = (what: 'read' | 'write' | 'execute', path: string): Parts => ({
  files: {
    may: ((asked: string, how: string) => Promise.resolve(asked !== path || how !== what)) as Files['may'],
  },
});

/** A service, as its unit describes it. */
const SERVICE = { user: 'pana', group: 'pana', moreGroups: [], capabilities: [], bounds: [], environment: {} };

const PAC_PEM = 'mn1';

/** A web page with a good token, and the certificate of a name of the PKI. */
async function pageWith(network: Network, keys: Tree): Promise<Made> {
  await writeFile(network.path('web-token'), 't'.repeat(43), { mode: 0o600 });
  const files = {
    'web-certificate': network.path('pki', 'aaa.pem'),
    'web-key': network.path('pki', 'aaa-key.pem'),
  };
  return { over: { control: { web: '[::1]:0', 'web-token': network.path('web-token'), ...files, ...keys } } };
}

const MISTAKES: readonly Mistake[] = [
  ['a misspelt key', 'pana-pac', over({ pana: { prot: 716 } }), 'pana.prot: unknown key; did you mean "port"?'],
  [
    'a watchdog below the bound of RFC 3539',
    'pana-paa',
    over({ diameter: { watchdog: '5s' } }),
    'diameter.watchdog: "5s" is too short: at least 6s',
  ],
  [
    'a long watchdog',
    'pana-paa',
    over({ diameter: { watchdog: '10m' } }),
    'warning: diameter.watchdog: a dead peer is noticed only after 1200 s',
  ],
  [
    'a variable that looks like ours',
    'pana-pac',
    () => ({ parts: { environment: { PANA_PAC_TLS_SERVERNAME: 'x', PANA_AAA_STORE: '/x' } } }),
    'warning: PANA_PAC_TLS_SERVERNAME: this environment variable is no key of the configuration, and is ignored: did you mean PANA_PAC_TLS_SERVER_NAME?',
  ],
  [
    'a variable without the name of a daemon',
    'pana-pac',
    () => ({ parts: { environment: { PANA_TLS_CA: 'x' } } }),
    'PANA_TLS_CA: this environment variable is no key',
  ],
  [
    'a certificate file that is not there',
    'pana-pac',
    (network) => ({ over: { tls: { ca: network.path('none.pem') } } }),
    'error: tls.ca: cannot read …/none.pem: no such file: correct the path',
  ],
  [
    'a key that the user of the daemon may not read',
    'pana-pac',
    (network) => ({ parts: denied('read', network.path('pki', 'mn1-key.pem')) }),
    'error: tls.key: pana cannot read …/mn1-key.pem: EACCES: let pana read it: chgrp pana …',
  ],
  [
    'a key in a folder that the user of the daemon may not look into',
    'pana-pac',
    (network) => {
      const closed = network.path('pki');
      const may = (path: string, what: string) =>
        Promise.resolve(!path.startsWith(closed) || (path === closed && what !== 'execute'));
      return { parts: { files: { may } } };
    },
    'error: tls.key: pana cannot read …/mn1-key.pem: it may not look into …/pki: let pana in: chgrp pana …/pki && chmod 750 …/pki',
  ],
  [
    'a key that everybody may read',
    'pana-pac',
    async (network) => {
      await chmod(network.path('pki', 'mn1-key.pem'), 0o644);
      return {};
    },
    'error: tls.key: every user of this host can access …/mn1-key.pem: chmod o= …/mn1-key.pem',
  ],
  [
    'a key in a home folder, which the unit hides',
    'pana-pac',
    () => ({
      over: { tls: { key: '/root/mn1-key.pem' } },
      parts: {
        service: SERVICE,
        files: { may: () => Promise.resolve(true) },
      },
    }),
    'error: tls.key: /root/mn1-key.pem is hidden from the service (ProtectHome, PrivateTmp)',
  ],
  [
    'a certificate that expires',
    'pana-pac',
    async (network) => {
      await network.pki.renew(PAC_PEM, { notBefore: new Date(Date.now() - 9e9), notAfter: new Date(Date.now() + 2e8) });
      return {};
    },
    'warning: tls.certificate: …expires in 2 days…: renew it',
  ],
  [
    'a CRL that has expired',
    'pana-aaa',
    async (network) => {
      const [certificatePem, keyPem] = await Promise.all([
        readFile(network.path('pki', 'ca.pem'), 'utf8'),
        readFile(network.path('pki', 'ca-key.pem'), 'utf8'),
      ]);
      const crl = await makeCrl({ certificatePem, keyPem }, [], new Date(Date.now() - 2e9), new Date(Date.now() - 1e9));
      await writeFile(network.path('pki', 'crl.pem'), crl);
      return {};
    },
    'tls.crl: …has expired…: renew it: pana-mip6 pki renew NAME, or pana-mip6 pki crl',
  ],
  [
    'a certificate of another host',
    'pana-aaa',
    (network) => ({
      over: {
        diameter: {
          tls: {
            ca: network.path('pki', 'ca.pem'),
            certificate: network.path('pki', 'mn1.pem'),
            key: network.path('pki', 'mn1-key.pem'),
          },
        },
      },
    }),
    'error: diameter.tls.certificate: …/mn1.pem has no dNSName, not diameter.host aaa.home.example: issue one',
  ],
  [
    'a server certificate without a name',
    'pana-aaa',
    (network) => ({
      over: { tls: { certificate: network.path('pki', 'mn1.pem'), key: network.path('pki', 'mn1-key.pem') } },
    }),
    'error: tls.certificate: …/mn1.pem has no dNSName, and nodes compare it',
  ],
  [
    'an identity of another realm',
    'pana-pac',
    over({ eap: { identity: '@hoem.example' } }),
    'warning: eap.identity: its realm is hoem.example, and the certificate is of mn1@home.example',
  ],
  [
    'a folder that cannot be created',
    'pana-paa',
    (network) => ({
      over: { hooks: { 'state-dir': network.path('no', 'state') } },
      parts: denied('write', network.folder),
    }),
    'error: hooks.state-dir: …/no/state does not exist, and pana may not create it in …: install -d -o pana -m 700',
  ],
  [
    'a folder with keys that others can read',
    'pana-paa',
    async (network) => {
      await mkdir(network.path('pana-paa'), { mode: 0o755 });
      await chmod(network.path('pana-paa'), 0o755);
      return {};
    },
    'warning: hooks.state-dir: other users can look into …/pana-paa, which has keys: chmod 700',
  ],
  [
    'a folder of the control socket that cannot be created',
    'pana-pac',
    (network) => ({
      over: { control: { socket: network.path('run', 'control.sock') } },
      parts: denied('write', network.folder),
    }),
    'error: control.socket: …/run does not exist',
  ],
  [
    'a full disk',
    'pana-paa',
    () => ({ parts: { files: { room: () => Promise.resolve({ octets: 5_000_000, inodes: 1e6 }) } } }),
    'error: hooks.state-dir: 5 MB are free on the file system of …',
  ],
  [
    'a file system without inodes',
    'pana-paa',
    () => ({ parts: { files: { room: () => Promise.resolve({ octets: 1e12, inodes: 7 }) } } }),
    'warning: hooks.state-dir: 7 files can still be created',
  ],
  [
    'a group that there is not',
    'pana-paa',
    over({ control: { group: 'nosuchgroup' } }),
    'error: control.group: there is no group nosuchgroup in /etc/group: groupadd --system nosuchgroup',
  ],
  [
    'a group that the user of the daemon is not in',
    'pana-paa',
    () => ({ over: { control: { group: '4711' } }, parts: { groups: [4710] } }),
    'error: control.group: pana is not in the group 4711, and may not give it the socket: usermod --append',
  ],
  [
    'a group that the service does not have, although root',
    'pana-pac',
    () => ({ over: { control: { group: '4711' } }, parts: { user: 'root', service: { ...SERVICE, user: 'root' } } }),
    'error: control.group: root is not in the group 4711, …: install the drop-in operators.conf',
  ],
  [
    'a key that is a pipe',
    'pana-pac',
    (network) => {
      execFileSync('mkfifo', [network.path('key')]);
      return { over: { tls: { key: network.path('key') } } };
    },
    'error: tls.key: …/key is not a file: correct the path',
  ],
  [
    'a configuration that others can change',
    'pana-paa',
    () => ({
      parts: {
        files: {
          stat: async (path) => {
            const found = await stat(path);
            return path.endsWith('.yaml') ? Object.assign(found, { mode: 0o100666 }) : found;
          },
        },
      },
    }),
    'pana-paa-doctor.yaml: every user of this host can change the configuration: chmod o-w',
  ],
  [
    'a hook that is not there',
    'pana-pac',
    over({ hooks: { mn: '/nosuch/mn.sh' } }),
    'error: hooks.mn: cannot run /nosuch/mn.sh: ENOENT: correct the path',
  ],
  ['a hook with a relative path', 'pana-pac', over({ hooks: { mn: 'mn.sh' } }), 'error: hooks.mn: mn.sh is a relative'],
  [
    'a hook that cannot be executed',
    'pana-pac',
    hook('mn', '#!/bin/sh\n', 0o644),
    'error: hooks.mn: pana may not execute …/hook.sh: chmod +x',
  ],
  [
    'a hook that others can change',
    'pana-paa',
    hook('ep', '#!/bin/sh\n', 0o757),
    'error: hooks.ep: every user of this host can change …/hook.sh: chmod o-w',
  ],
  ['a hook without an interpreter', 'pana-pac', hook('mn', 'echo hello\n'), 'error: hooks.mn: …has no first line'],
  [
    'a hook with the interpreter of another system',
    'pana-pac',
    hook('mn', '#!/nosuch/bash\n'),
    'error: hooks.mn: …/hook.sh needs /nosuch/bash, which cannot be executed',
  ],
  [
    'a hook with lines of another system',
    'pana-pac',
    hook('mn', '#!/bin/sh\r\nexit 0\r\n'),
    'error: hooks.mn: the lines of …',
  ],
  [
    'a hook whose programs are missing',
    'pana-paa',
    hook('ep', '#!/bin/sh\n# Events: start, stop, test\necho "error: nft is not installed: \u001b[2J" >&2; exit 1\n'),
    'error: hooks.ep: …/hook.sh test fails: nft is not installed: \\u001b[2J: correct what it names',
  ],
  [
    'a hook that warns',
    'pana-paa',
    hook(
      'ep',
      '#!/bin/sh\n# Events: test\n[ "$MIP6_EVENT $MIP6_ROLE $1" = "test ep test" ] && echo "warning: eth9 is down"\n',
    ),
    'warning: hooks.ep: eth9 is down',
  ],
  [
    'an address that the host does not have',
    'pana-paa',
    () => ({ asks: true, over: { pana: { listen: ['2001:db8:77::1'] } } }),
    'error: pana.listen: this host does not have 2001:db8:77::1; it has ',
  ],
  [
    'a port that another program has',
    'pana-paa',
    async () => {
      const socket = createSocket('udp6').bind(0, '::1');
      onTestFinished(() => void socket.close());
      await once(socket, 'listening');
      return { asks: true, over: { pana: { port: socket.address().port } } };
    },
    'error: pana.listen: another program has ::1 port …: find it with ss -lunp',
  ],
  [
    'a port that needs a privilege',
    'pana-paa',
    () => ({
      over: { pana: { port: 716 } },
      parts: {
        udp: {
          open: () => Promise.reject(Object.assign(new Error('bind'), { code: 'EACCES' })),
          connect: () => Promise.reject(new Error('not asked')),
        },
      },
    }),
    'error: pana.listen: pana may not open ::1 port 716: a port below 1024 needs root or CAP_NET_BIND_SERVICE',
  ],
  [
    'an address twice',
    'pana-paa',
    over({ pana: { listen: ['::1', '::1'], port: 40_716 } }),
    'error: pana.listen: ::1 port 40716 is listed twice',
  ],
  [
    'a peer twice',
    'pana-aaa',
    over({ diameter: { peers: [{ host: 'paa.access.example' }, { host: 'PAA.access.example' }] } }),
    'error: diameter.peers: PAA.access.example is listed twice',
  ],
  [
    'two peers at one place',
    'pana-paa',
    over({
      diameter: {
        peers: [
          { host: 'a.home.example', address: '::1', port: 1 },
          { host: 'b.home.example', address: '::1', port: 1 },
        ],
      },
    }),
    'warning: diameter.peers: b.home.example and a.home.example are both at ::1 port 1',
  ],
  [
    'itself as a peer',
    'pana-paa',
    over({ diameter: { peers: [{ host: 'paa.access.example', address: '::1', port: 1 }] } }),
    'error: diameter.peers: paa.access.example is this node itself',
  ],
  [
    'a peer without an address',
    'pana-paa',
    over({ diameter: { peers: [{ host: 'aaa.home.example' }] } }),
    'error: diameter.peers: aaa.home.example has no address',
  ],
  [
    'a route to a peer that is not listed',
    'pana-paa',
    over({ diameter: { routes: [{ realm: 'home.example', peers: ['aaa2.home.example'] }] } }),
    'error: diameter.routes: the route of home.example names aaa2.home.example, which diameter.peers does not list',
  ],
  [
    'a peer without a route',
    'pana-paa',
    over({ diameter: { routes: [{ realm: 'home.example', peers: ['aaa2.home.example'] }] } }),
    'warning: diameter.peers: no route names aaa.home.example',
  ],
  [
    'two routes of a realm',
    'pana-paa',
    over({
      diameter: {
        routes: [
          { realm: 'home.example', peers: ['aaa.home.example'] },
          { realm: 'HOME.example', peers: ['aaa.home.example'] },
        ],
      },
    }),
    'error: diameter.routes: the realm HOME.example has two routes',
  ],
  ['no peers', 'pana-aaa', over({ diameter: { peers: [] } }), 'warning: diameter.peers: no peer is listed'],
  [
    'no address to listen on',
    'pana-aaa',
    over({ diameter: { listen: [] } }),
    'error: diameter.listen: the server listens on no address',
  ],
  [
    'no server at the address',
    'pana-paa',
    () => ({ asks: true }),
    'error: aaa.home.example at ::1 port 1: nothing listens there (ECONNREFUSED): is it running',
  ],
  [
    'a server without a route',
    'pana-paa',
    () => ({
      parts: {
        udp: {
          open: () => Promise.reject(new Error('not asked')),
          connect: () => Promise.reject(Object.assign(new Error('connect'), { code: 'ENETUNREACH' })),
        },
      },
    }),
    'error: aaa.home.example at ::1 port 1: this host has no route to ::1 (ENETUNREACH): compare: ip -6 route get ::1',
  ],
  [
    'a server that does not list this PAA',
    'pana-paa',
    async (network) => {
      await network.start('pana-aaa', { diameter: { peers: [] } });
      return { asks: true };
    },
    'the peer refuses CER: UNKNOWN_PEER ("…"): add diameter.host of this node to the peer\'s list',
  ],
  [
    'a server of another name',
    'pana-paa',
    async (network) => {
      await network.start('pana-aaa', { diameter: { host: 'other.home.example' } });
      return { asks: true };
    },
    'the peer is other.home.example: correct host in diameter.peers',
  ],
  [
    'a server that closes the connection',
    'pana-paa',
    async () => serverThat((socket) => void socket.end()),
    'the peer closes the connection without an answer to CER',
  ],
  [
    'a server of another protocol',
    'pana-paa',
    async () => serverThat((socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
    'what the peer answers is not Diameter',
  ],
  [
    'a server without TLS at the port',
    'pana-paa',
    async (network) => {
      await network.issue('paa', { kind: 'server', hosts: ['paa.access.example'] });
      const { over: plain } = await serverThat((socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
      const [peer] = (plain as { diameter: { peers: object[] } }).diameter.peers;
      const tls = {
        ca: network.path('pki', 'ca.pem'),
        certificate: network.path('pki', 'paa.pem'),
        key: network.path('pki', 'paa-key.pem'),
      };
      return { asks: true, over: { diameter: { peers: [{ ...peer, tls: true }], tls } } };
    },
    'it does not speak TLS there',
  ],
  [
    'a PAA that does not answer',
    'pana-pac',
    () => ({ asks: true, parts: { host: fast(20) } }),
    'error: PAA ::1 port 1: no answer to PCI within 3 s: is pana-paa running there',
  ],
  [
    'a PAA without a common algorithm',
    'pana-pac',
    async (network) => {
      await network.start('pana-paa', { pana: { prf: ['sha1'], integrity: ['sha1'] } });
      return { asks: true, over: { pana: { prf: ['sha256'], integrity: ['sha256'] } } };
    },
    'error: PAA ::1 port …: it offers no algorithm of pana.prf and pana.integrity',
  ],
  [
    'an interface that does not exist',
    'pana-paa',
    over({ pana: { interface: 'nosuch0' } }),
    'warning: pana.interface: this host has no interface nosuch0',
  ],
  [
    'an interface without an address',
    'pana-pac',
    () => ({ parts: { readAddresses: () => Promise.resolve([]), hasInterface: () => true } }),
    'error: pana.interface: lo has no usable address',
  ],
  [
    'a clock that was never set',
    'pana-paa',
    () => ({ parts: { host: { ...systemHost, wall: () => 0 } } }),
    'error: clock: the clock says 1970-01-01T00:00:00.000Z',
  ],
  [
    'a clock that is not synchronised',
    'pana-paa',
    () => ({ parts: { output: (program) => Promise.resolve(program === 'timedatectl' ? 'no\n' : undefined) } }),
    'warning: clock: systemd says that the clock of this host is not synchronised',
  ],
  [
    'a local home agent outside its prefix',
    'pana-paa',
    over({ 'local-home-agent': { address: '2001:db8:1::1', host: 'ha.access.example', prefix: '2001:db8:2::/64' } }),
    'error: local-home-agent: 2001:db8:1::1 is not in 2001:db8:2::/64',
  ],
  [
    'a store that is none',
    'pana-aaa',
    async (network) => {
      await writeFile(network.path('store.db'), 'x'.repeat(10_000), { mode: 0o600 });
      return {};
    },
    'error: store: …/store.db…: restore a backup',
  ],
  [
    'a store of another user',
    'pana-aaa',
    async (network) => {
      await writeFile(network.path('store.db'), '', { mode: 0o600 });
      return { parts: denied('write', network.path('store.db')) };
    },
    'error: store: pana may not read and write …/store.db: chown pana',
  ],
  [
    'a store that others can read',
    'pana-aaa',
    async (network) => {
      await writeFile(network.path('store.db'), '', { mode: 0o644 });
      await chmod(network.path('store.db'), 0o644);
      return {};
    },
    'warning: store: other users can read …/store.db, which has secrets: chmod 600',
  ],
  [
    'a database that cannot be reached',
    'pana-aaa',
    () => ({ over: { store: 'postgres://pana:secret@[::1]:1/pana' } }),
    'error: store: cannot open the database postgres://[::1]:1/pana: …: is PostgreSQL running',
  ],
  [
    'a password that everybody can read',
    'pana-aaa',
    () => ({
      over: { store: 'postgres://pana:secret@[::1]:1/pana' },
      parts: {
        files: {
          stat: async (path) => {
            const found = await stat(path);
            return path.endsWith('.yaml') ? Object.assign(found, { mode: 0o100644 }) : found;
          },
        },
      },
    }),
    'pana-aaa-doctor.yaml: every user of this host can read the password in it: chmod o=',
  ],
  [
    'a token that others can read',
    'pana-pac',
    async (network) => {
      const made = await pageWith(network, {});
      await chmod(network.path('web-token'), 0o640);
      return made;
    },
    'error: control.web-token: others can read …/web-token: chmod 600 …/web-token, and write a new token',
  ],
  [
    'a page with the key of another certificate',
    'pana-aaa',
    (network) => pageWith(network, { 'web-key': network.path('pki', 'mn1-key.pem') }),
    'error: control.web-key: …/mn1-key.pem is not the key of the certificate …/aaa.pem',
  ],
  [
    'a page with a certificate of another name',
    'pana-aaa',
    (network) => pageWith(network, { 'web-hosts': ['AAA.home.example', 'web.home.example'] }),
    'warning: control.web-certificate: …/aaa.pem is not for web.home.example of control.web-hosts',
  ],
  [
    'a page with a certificate that has expired',
    'pana-pac',
    async (network) => {
      await network.pki.renew('aaa', { notBefore: new Date(Date.now() - 9e9), notAfter: new Date(Date.now() - 1e9) });
      return pageWith(network, {});
    },
    'warning: control.web-certificate: …/aaa.pem … has expired: …: renew it, and restart the daemon',
  ],
  [
    'two addresses of a relay that its clients cannot be told apart by',
    'pana-pre',
    over({ relay: { listen: ['2001:db8:b::1', '2001:db8:b::2'] } }),
    'error: …relay.listen.1: 2001:db8:b::1 and 2001:db8:b::2 are both global IPv6 addresses',
  ],
  [
    'a relay without a way to its PAA',
    'pana-pre',
    over({ relay: { paa: '2001:db8:a::1', 'paa-port': 716 } }),
    'error: PAA 2001:db8:a::1 port 716: …',
  ],
  [
    'another user than that of the service',
    'pana-pac',
    () => ({
      parts: { user: 'alice', service: { ...SERVICE, user: 'root', group: 'root' } },
    }),
    'warning: user: this is checked as alice, and the service runs as root: sudo pana-pac doctor',
  ],
];

/** A server on loopback, and the configuration of a PAA that has it as its peer. */
async function serverThat(acts: (socket: Socket) => void): Promise<{ readonly over: Tree; readonly asks: true }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    acts(socket);
  });
  server.listen(0, '::1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  return { asks: true, over: { diameter: { peers: [{ host: 'aaa.home.example', address: '::1', port }] } } };
}

/** The clock of this computer, with timers that are this many times as fast. */
const fast = (times: number) => ({
  ...systemHost,
  after: (milliseconds: number, action: () => void, holds?: boolean) =>
    systemHost.after(milliseconds / times, action, holds),
});

/** Whether a printed line has a text, in which `…` stands for anything. */
function has(line: string, text: string): boolean {
  const pattern = text.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(pattern.join('.*'), 's').test(line);
}

describe('doctor', () => {
  it.each(MISTAKES)('finds %s (%s)', async (_what, daemon, make, text) => {
    const network = await Network.make();
    const made = await make(network);
    const printed = await lines(network, daemon, made.over, { ...(made.asks ? {} : { udp: UNROUTED }), ...made.parts });
    expect(
      printed.filter((line) => has(line, text)),
      `${text}\n--- is not in ---\n${printed.join('\n')}`,
    ).toHaveLength(1);
    for (const line of printed) expect(line).toMatch(/^(error|warning): [^\n]+: [^\n]+: [^\n]+$/);
  });

  it('finds only why the node is refused in a network that works, and disturbs nothing', async () => {
    const network = await Network.make();
    await network.startAll({ paa: { pana: { relays: [{ address: '::1' }] } } });
    await network.prints(/pana-pac: .*session refused/);
    await network.start('pana-pre');
    const before = network.printed;
    for (const daemon of ['pana-aaa', 'pana-paa'] as const) expect(await lines(network, daemon)).toEqual([]);
    expect(await lines(network, 'pana-pac')).toEqual([
      'error: eap: the last authentication failed (refused): EAP-Failure without a TLS alert: the log of pana-aaa says why',
    ]);
    expect(await lines(network, 'pana-pre')).toEqual([]);
    expect(network.printed.slice(before.length)).not.toMatch(/peer (dis)?connected|peer refused/);
  });

  it('finds nothing before the start of a daemon that will work, and leaves its peer as it was', async () => {
    const network = await Network.make();
    await network.start('pana-aaa');
    expect(await lines(network, 'pana-paa')).toEqual([]);
    await network.prints(/peer connected/);
    await network.prints(/peer disconnected/);
    await network.start('pana-paa');
    expect(await lines(network, 'pana-pac')).toEqual([]);
  });

  it('finds a relay that the PAA does not know', async () => {
    const network = await Network.make();
    await network.start('pana-aaa');
    await network.start('pana-paa', { pana: { relays: [{ address: '::2' }] } });
    expect((await lines(network, 'pana-pre', {}, { host: fast(10) })).join()).toContain(
      'no answer to a relayed PCI within 3 s: is pana-paa running there with the address of this host in pana.relays',
    );
  });

  it('finds a peer that accepts a connection and says nothing, after 5 s', async () => {
    const network = await Network.make();
    const { over: tree } = await serverThat(() => undefined);
    expect((await lines(network, 'pana-paa', tree, { host: fast(20) })).join()).toContain(
      'does not answer CER within 5 s',
    );
  });

  it('finds home agents outside their prefix, and two with one prefix', async () => {
    const network = await Network.make();
    const store = await Store.open(network.path('store.db'));
    onTestFinished(() => store.close());
    const agent = {
      host: 'ha.home.example',
      prefix: '2001:db8:1::/64',
      capacity: 1,
      weight: 1,
      ike: ['ikev2'] as const,
    };
    for (const name of ['ha1', 'ha2']) {
      const given = { ...agent, name, address: `2001:db8:1::${name.slice(2)}`, ike: [...agent.ike] };
      await store.run('addHomeAgent', { agent: given });
    }
    expect((await lines(network, 'pana-aaa')).join()).toContain('home agent ha2: it has the same prefix as ha1');
  });

  it('asks a hook about each home agent of the store, and says once what all lack', async () => {
    const network = await Network.make();
    const store = await Store.open(network.path('store.db'));
    onTestFinished(() => store.close());
    const given = { host: 'ha.home.example', capacity: 1, weight: 1 };
    for (const name of ['ha1', 'ha2']) {
      const [address, prefix] = [`2001:db8:${name.slice(2)}::1`, `2001:db8:${name.slice(2)}::/64`];
      await store.run('addHomeAgent', {
        agent: { ...given, name, address, prefix, ike: ['ikev2'], target: `at-${name}` },
      });
    }
    const text = `#!/bin/sh
# Events: up, test of each home agent.
echo "warning: no ssh"
echo "warning: $MIP6_HA_ID $MIP6_HA $MIP6_HA_HOST $MIP6_HA_TARGET"
`;
    const hooked = await hook('ha', text)(network);
    const found = (await lines(network, 'pana-aaa', hooked.over)).filter((line) => line.includes('hooks.ha'));
    expect(found.map((line) => line.split(': ')[2])).toEqual([
      'no ssh',
      'ha1 2001:db8:1::1 ha.home.example at-ha1',
      'ha2 2001:db8:2::1 ha.home.example at-ha2',
    ]);
  });

  it('expects no peer of a server that has RADIUS clients', async () => {
    const network = await Network.make();
    const client = { name: 'ap1', from: ['::1'], 'secret-file': network.path('secret') };
    const tree = { diameter: { peers: [] }, radius: { listen: ['::1'], clients: [client] } };
    expect((await lines(network, 'pana-aaa', tree)).join()).not.toContain('no peer is listed');
  });

  it('says why the running PaC cannot authenticate', async () => {
    const network = await Network.make();
    const detail = 'the certificate has aaa.home.example, not other.example or a host below it';
    const failed = (reason: string) =>
      lines(network, 'pana-pac', {}, { running: async () => ({ state: 'WAIT_PAA', lastFailure: { reason, detail } }) });
    expect(await failed('server-name')).toContainEqual(
      expect.stringContaining(`error: tls.server-name: the last authentication failed: ${detail}: correct it`),
    );
    expect(await failed('other')).toContainEqual(
      expect.stringContaining('error: eap: the last authentication failed (other)'),
    );
  });

  it('reports a file of another daemon, and a missing file, and then stops', async () => {
    const network = await Network.make();
    const tree = network.path('x.yaml');
    await writeFile(tree, 'pana: {}\ndiameter: {}\nnas: {}\n');
    expect((await findingsIn(tree, 'pana-aaa')).map(lineOf)).toEqual([
      `error: ${tree}: this is a configuration of pana-paa: correct it; docs/reference.md lists the keys`,
    ]);
    const none = await findingsIn(network.path('none.yaml'), 'pana-aaa');
    expect(none.map(({ what }) => what)).toEqual([expect.stringContaining('cannot read the configuration')]);
  });

  it.each(['pipe', '/dev/zero', '.'])('reports a configuration that is no file (%s), and then stops', async (name) => {
    const network = await Network.make();
    execFileSync('mkfifo', [network.path('pipe')]);
    const path = resolve(network.folder, name);
    expect((await findingsIn(path, 'pana-aaa')).map(lineOf)).toEqual([
      `error: configuration: cannot read the configuration ${path}: it is not a file: correct it; docs/reference.md lists the keys`,
    ]);
  });

  it.each([
    ['in its primary group', { groups: [4711] }],
    ['root', { user: 'root' }],
    [
      'root of a service with the capability',
      { user: 'root', service: { ...SERVICE, user: 'root', bounds: ['cap_chown'] } },
    ],
    ['in a group of its service', { service: { ...SERVICE, moreGroups: ['4711'] } }],
  ])('finds nothing about the group if the user is %s', async (_who, parts) => {
    const network = await Network.make();
    const found = await lines(
      network,
      'pana-paa',
      { control: { group: '4711' } },
      { udp: UNROUTED, groups: [], ...parts },
    );
    expect(found.join('\n')).not.toContain('control.group');
  });

  it('reports a file that is too long for a configuration, and then stops', async () => {
    const network = await Network.make();
    const long = network.path('long.yaml');
    await writeFile(long, '#'.repeat(4_194_305));
    const found = await findingsIn(long, 'pana-aaa');
    expect(found.map(lineOf)).toEqual([
      `error: configuration: the configuration ${long} has more than 4194304 octets: is this the right file?`,
    ]);
  });

  it.runIf(process.getuid?.() === 0)('reads as root the token of a daemon that runs as another user', async () => {
    const network = await Network.make();
    const { over: tree } = await pageWith(network, {});
    await chown(network.path('web-token'), 65_534, 65_534);
    expect((await lines(network, 'pana-pac', tree, { udp: UNROUTED })).join()).not.toContain('control.web-token');
  });

  it('does not say that another program has the ports of metrics and page while the daemon runs', async () => {
    const network = await Network.make();
    const inUse = () => Promise.reject(Object.assign(new Error('listen'), { code: 'EADDRINUSE' }));
    const { over: tree } = await pageWith(network, { metrics: '[::1]:1' });
    const parts: Parts = { transport: { ...systemComputer().transport, listen: inUse }, udp: UNROUTED };
    const program = /another program has ::1 port [01]/;
    expect(await lines(network, 'pana-pac', tree, parts)).toEqual([
      expect.stringMatching(/control\.metrics: another/),
      expect.stringMatching(/control\.web: another/),
      expect.anything(),
    ]);
    const running = () => Promise.resolve({ listening: ['::1 port 716'] });
    expect((await lines(network, 'pana-pac', tree, { ...parts, running })).join()).not.toMatch(program);
  });

  it('reports a check that takes too long, and goes on', async () => {
    const network = await Network.make();
    const parts: Parts = { files: { room: () => new Promise(() => undefined) }, host: fast(100), udp: UNROUTED };
    const found = await findings(network, 'pana-paa', {}, parts);
    expect(found.map(({ what }) => what)).toContain('this check did not end within 20 s');
  });

  it('has the exit status of its worst finding', () => {
    const [warning, error] = [{ severity: 'warning' }, { severity: 'error' }] as never[];
    expect([statusOf([]), statusOf([warning as never]), statusOf([warning as never, error as never])]).toEqual([
      0, 1, 2,
    ]);
  });
});

describe('doctor as root', () => {
  const shown = [
    'LoadState=loaded',
    'User=pana',
    'Group=pana',
    'SupplementaryGroups=pana-operators',
    'AmbientCapabilities=cap_net_bind_service cap_net_admin',
    'CapabilityBoundingSet=cap_chown cap_net_admin',
    'Environment=NODE_ENV=production "A=b c"',
  ];

  it('becomes the user of the unit, with its capabilities and environment', () => {
    const unit = unitOf(shown.join('\n'));
    expect(unit).toMatchObject({ user: 'pana', environment: { NODE_ENV: 'production', A: 'b c' } });
    expect(unit).toMatchObject({ moreGroups: ['pana-operators'], bounds: ['cap_chown', 'cap_net_admin'] });
    if (!unit) return;
    const { words, environment } = commandAs(unit, ['node', 'x'], { PATH: '/bin', SECRET: 'x' });
    expect(words.join(' ')).toBe(
      'setpriv --reuid=pana --regid=pana --init-groups --no-new-privs --bounding-set=-all,+net_bind_service,+net_admin --inh-caps=+net_bind_service,+net_admin --ambient-caps=+net_bind_service,+net_admin node x',
    );
    expect(environment).toEqual({ PATH: '/bin', NODE_ENV: 'production', A: 'b c' });
  });

  it.runIf(process.getuid?.() === 0)('sees files as the user of the service does', async () => {
    const network = await Network.make();
    const service = { ...SERVICE, user: 'nobody', group: 'nogroup' };
    const { over: tree } = await pageWith(network, {});
    await chmod(network.path('pki', 'mn1-key.pem'), 0o600);
    const computer = await computerFor(service, systemComputer());
    const { files, user, groups } = computer;
    const found = (await lines(network, 'pana-pac', tree, { udp: UNROUTED, files, user, groups })).join('\n');
    expect(found).toMatch(
      /tls\.key: nobody cannot read .*mn1-key\.pem: it may not look into .*: let nobody in: chgrp /,
    );
    expect(found).toMatch(/control\.web-token: nobody may not read .*: chown nobody/);
    // It may not create a token either.
    await rm(network.path('web-token'));
    const folder = (await lines(network, 'pana-pac', tree, { udp: UNROUTED, files, user, groups })).join('\n');
    expect(folder).toMatch(/control\.web-token: nobody may not write to/);
    expect(groups).toContain(65_534);
    const none = { ...systemComputer(), output: () => Promise.resolve(undefined) };
    expect(await computerFor(service, none)).toBe(none);
    // The capabilities of root's services differ, and most let it access all files.
    await chown(network.path('pki', 'mn1-key.pem'), 65_534, 65_534);
    const root = await computerFor({ ...service, user: 'root' }, systemComputer());
    expect(await root.files.may(network.path('pki', 'mn1-key.pem'), 'write')).toBe(true);
  });

  it('knows a unit that is not installed, and one of root', () => {
    expect(unitOf('LoadState=not-found\nUser=\n')).toBeUndefined();
    expect(unitOf('LoadState=loaded\nUser=\nGroup=\n')).toMatchObject({ user: 'root', group: 'root' });
  });
});
