import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../eventually.js';
import { runHook, testNode } from '../../scripts/hook-rig.js';

const NODE = testNode(1);
const CONNECTION = 'pana-2001-db8-1--1001';
let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-watch-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  await program('pgrep', 'for name; do :; done; cat "$bin/$name.pid" 2>/dev/null');
  await program('logger', 'cat >/dev/null');
  await program(
    'ip',
    `case "$*" in *"proto hao") echo "proto hao" ;; *"address show"*) echo "2: eth0    inet6 2001:db8:a::11/64 scope global" ;; "xfrm state list"*) cat "$bin/esp" && : >"$bin/seen" ;; "-6 -force -batch -") echo "ip6tnl1: ipv6/ipv6 remote 2001:db8:1::1 local 2001:db8:a::11 dev eth0"
  for n in 1 2; do echo "src 2001:db8:1::1 dst 2001:db8:1::100$n"; echo " proto esp spi 0x0000000$n reqid 2"; done ;;
"-force -batch -") cat >>"$bin/deleted" ;; esac; exit 0`,
  );
  await program('ping', 'exit 0');
  await program('racoonctl', 'exit 0');
  await program(
    'pkill',
    `[ "$1" != -HUP ] || exit 0
for name; do :; done
kill "$(cat "$bin/$name.pid")" && rm "$bin/$name.pid"`,
  );
});

afterEach(async () => {
  // The watch ends when the record of its last node is gone.
  await rm(join(state, 'nodes'), { recursive: true, force: true });
  for (const name of ['racoon', 'mip6d', 'radvd']) await end(name);
  // The watch may still write its record of bindings.
  await rm(state, { recursive: true, force: true, maxRetries: 10 });
});

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\nbin=${bin}\n${text}\n`, { mode: 0o755 });
}

/** A daemon: a sleeping process whose start is counted in NAME.starts. */
const daemon = (name: string, more = '') =>
  program(
    name,
    `sleep 600 </dev/null >/dev/null 2>&1 & echo $! >"$bin/${name}.pid"; echo >>"$bin/${name}.starts"\n${more}`,
  );

async function pidOf(name: string): Promise<number | undefined> {
  const text = await readFile(join(bin, `${name}.pid`), 'utf8').catch(() => '');
  return text === '' ? undefined : Number(text);
}

async function end(name: string): Promise<void> {
  const pid = await pidOf(name);
  await rm(join(bin, `${name}.pid`), { force: true });
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
}

const watchFiles = async () => (await readdir(state)).filter((name) => name.startsWith('.watch'));

const startsOf = async (name: string) => (await readFile(join(bin, `${name}.starts`), 'utf8').catch(() => '')).length;

const settle = (settings: string) =>
  writeFile(join(state, 'hooks.conf'), `WATCH_SECONDS=0.2\nINTERFACE=none0\n${settings}`);

async function hook(script: string, event: string, ike: 'ikev1' | 'ikev2' = 'ikev1', node = NODE) {
  const ended = await runHook(state, { script, event, node, ike, programs: bin });
  expect(ended).toMatchObject({ status: 0 });
  return ended.output;
}

describe.runIf(process.getuid?.() === 0)('ours', () => {
  it('finds a program with more capabilities than the hook has, as under a unit', async () => {
    const hooks = await readFile('scripts/hooks/common.sh', 'utf8');
    const running = spawn('sleep', ['600']);
    onTestFinished(() => void running.kill());
    const functions = [...hooks.matchAll(/^(?:ours|has_hidden)\(\) \{\n[\s\S]*?^\}$/gm)].map(([text]) => text);
    const text = [...functions, 'ours pgrep -x sleep'].join('\n');
    const less = ['--bounding-set=-sys_ptrace', '--inh-caps=-all', 'sh', '-c', text];
    const { stdout } = await promisify(execFile)('setpriv', less);
    expect(stdout.split('\n')).toContain(String(running.pid));
  });
});

describe('The watch of ha-linux.sh', () => {
  beforeEach(async () => {
    await settle('IKE=racoon\nMOBILITY=umip\nRADVD=no\nMIP6D_RELOAD=hup\n');
    for (const name of ['racoon', 'mip6d']) await daemon(name);
  });

  it('starts a program that has ended, and reports it at the next hook', async () => {
    await hook('ha-linux.sh', 'up');
    await end('racoon');
    await eventually(async () => expect(await startsOf('racoon')).toBe(2));
    await eventually(async () => expect(await readFile(join(state, '.watch.log'), 'utf8')).toContain('nodes: 1'));
    expect(await hook('ha-linux.sh', 'probe')).toBe('watch: racoon was not running\nwatch: nodes: 1\nnodes: 1\n');
    expect(await hook('ha-linux.sh', 'probe')).toBe('nodes: 1\n');
  });

  it('starts everything after a start of the host, at once, and not in a probe, whose time is limited', async () => {
    await hook('ha-linux.sh', 'up');
    const [pid] = (await readFile(join(state, '.watch'), 'utf8')).split('@');
    process.kill(-Number(pid), 'SIGKILL');
    for (const name of ['racoon', 'mip6d']) await end(name);
    // The watch would look for the first time after ten minutes.
    await settle('IKE=racoon\nMOBILITY=umip\nRADVD=no\nMIP6D_RELOAD=hup\nWATCH_SECONDS=600\n');
    expect(await hook('ha-linux.sh', 'probe')).toBe('the watch has been started, and starts what does not run\n');
    await eventually(async () => expect([await startsOf('racoon'), await startsOf('mip6d')]).toEqual([2, 2]));
    await eventually(async () => expect(await readFile(join(state, '.watch.log'), 'utf8')).toContain('nodes: 1'));
    const [watch] = (await readFile(join(state, '.watch'), 'utf8')).split('@');
    process.kill(-Number(watch), 'SIGKILL');
  });

  it('ends the SAs of all nodes when mip6d has lost their bindings', async () => {
    await hook('ha-linux.sh', 'up');
    await hook('ha-linux.sh', 'up', 'ikev1', testNode(2));
    await end('mip6d');
    await eventually(async () => {
      const deleted = await readFile(join(bin, 'deleted'), 'utf8');
      expect(deleted).toContain('delete src 2001:db8:1::1 dst 2001:db8:1::1001 proto esp spi 0x00000001');
      expect(deleted).toContain('delete src 2001:db8:1::1 dst 2001:db8:1::1002 proto esp spi 0x00000002');
    });
    expect(await startsOf('mip6d')).toBe(2);
  });

  it('runs once, and ends with the last node', async () => {
    await hook('ha-linux.sh', 'up');
    const token = await readFile(join(state, '.watch'), 'utf8');
    await hook('ha-linux.sh', 'up', 'ikev1', testNode(2));
    expect(await readFile(join(state, '.watch'), 'utf8')).toBe(token);
    await hook('ha-linux.sh', 'down');
    await hook('ha-linux.sh', 'down', 'ikev1', testNode(2));
    await eventually(async () => expect(() => process.kill(Number(token.split('@')[0]), 0)).toThrow('ESRCH'));
    expect(await watchFiles()).toEqual([]);
  });
});

describe('The watch of mn-linux.sh', () => {
  it('registers again when the SAs of mip6d are gone', async () => {
    await settle('IKE=racoon\nMOBILITY=umip\n');
    for (const name of ['racoon', 'mip6d']) await daemon(name);
    const sa = 'src 2001:db8:1::1001 dst 2001:db8:1::1\n\tproto esp spi 0x0badcafe reqid 1 mode transport\n';
    await writeFile(join(bin, 'esp'), sa);
    await hook('mn-linux.sh', 'up');
    const before = await startsOf('mip6d');
    await eventually(() => readFile(join(bin, 'seen')));
    await program('ping', 'case "$*" in *"-I 2001:db8:1:"*) exit 1 ;; esac');
    // One that IKE was asked for is not an SA.
    await writeFile(join(bin, 'esp'), sa.replace('0x0badcafe', '0x00000000'));
    await eventually(async () => expect(await startsOf('mip6d')).toBe(before + 1));
    await writeFile(join(bin, 'esp'), sa);
    expect(await watchFiles()).toContain('.watch');
    await hook('mn-linux.sh', 'down');
    expect(await watchFiles()).toEqual([]);
  });

  it('asks whether the home agent has the binding when racoon has lost its ISAKMP SA', async () => {
    await settle('IKE=racoon\nMOBILITY=umip\n');
    for (const name of ['racoon', 'mip6d']) await daemon(name);
    await writeFile(join(bin, 'esp'), 'src 2001:db8:1::1001 dst 2001:db8:1::1\n\tproto esp spi 0x0badcafe\n');
    await hook('mn-linux.sh', 'up');
    const before = await startsOf('mip6d');
    await eventually(() => readFile(join(bin, 'seen')));
    await promisify(execFile)(join(state, 'racoon-dead'));
    await eventually(async () => expect(await readdir(state)).not.toContain('.sas-lost'));
    expect(await startsOf('mip6d')).toBe(before);
    await program('ping', 'case "$*" in *"-I 2001:db8:1:"*) exit 1 ;; esac');
    await promisify(execFile)(join(state, 'racoon-dead'));
    await eventually(async () => expect(await startsOf('mip6d')).toBe(before + 1));
    await hook('mn-linux.sh', 'down');
  });

  it('runs the probe at once when racoon loses another ISAKMP SA before mip6d has needed SAs', async () => {
    await settle('IKE=racoon\nMOBILITY=umip\n');
    for (const name of ['racoon', 'mip6d']) await daemon(name);
    await writeFile(join(bin, 'esp'), '');
    await program('sleep', 'echo >>"$bin/slept"; exec /bin/sleep "$@"');
    const slept = async () => (await readFile(join(bin, 'slept'), 'utf8')).length;
    await program('racoonctl', 'case $1 in establish-sa) wc -l <"$bin/slept" >>"$bin/established" ;; esac');
    const established = async () => (await readFile(join(bin, 'established'), 'utf8')).trim().split('\n').map(Number);
    await hook('mn-linux.sh', 'up');
    for (const times of [1, 2]) {
      const before = await eventually(slept);
      await promisify(execFile)(join(state, 'racoon-dead'));
      await eventually(async () => expect(await established()).toHaveLength(times));
      // A probe for want of SAs comes ten seconds after the one before, which is fifty turns.
      expect(((await established())[times - 1] ?? 0) - before).toBeLessThan(10);
    }
    await hook('mn-linux.sh', 'down');
  });

  it('retries after NO_PROPOSAL_CHOSEN until the home agent knows the node, and at once when it answers pings again', async () => {
    await settle(`IKE=strongswan\nMOBILITY=umip\nSWANCTL_DIR=${state}/swanctl\nINITIATE_SECONDS=1\n`);
    await daemon('mip6d');
    await writeFile(join(bin, 'charon|charon-systemd.pid'), `${process.pid}`);
    await program(
      'swanctl',
      `case $1 in
--load-all) for f in "$SWANCTL_DIR"/conf.d/*; do c=$(sed -n 's/^  \\(pana-.*\\) {/\\1/p' "$f"); echo "loaded ike secret 'ike-$c'"; echo "loaded connection '$c'"; done ;;
--initiate) echo >>"$bin/initiated"; if [ -e "$bin/refused" ]; then echo 'received NO_PROPOSAL_CHOSEN notify error'; exit 1; fi
  echo 'initiate completed successfully'; echo 'src 2001:db8:1::1001 proto esp spi 0x0badcafe' >"$bin/esp" ;;
--list-sas) [ ! -s "$bin/esp" ] || echo "list-sa event {${CONNECTION}-1 {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}" ;;
esac`,
    );
    await hook('mn-linux.sh', 'up', 'ikev2');
    await eventually(() => readFile(join(bin, 'seen')));
    await program('ping', '[ ! -e "$bin/away" ]');
    for (const file of ['away', 'refused', 'esp']) await writeFile(join(bin, file), '');
    const waits = async () => (await readFile(join(state, '.watch.log'), 'utf8')).match(/again in . s/g);
    await eventually(async () => expect(await waits()).toEqual(['again in 1 s', 'again in 2 s']));
    await rm(join(bin, 'away'));
    await eventually(async () => expect((await waits())?.slice(2)).toContain('again in 1 s'));
    await rm(join(bin, 'refused'));
    await eventually(async () => expect(await readFile(join(bin, 'esp'), 'utf8')).toContain('0badcafe'));
    await eventually(async () => expect(await readFile(join(state, '.watch.log'), 'utf8')).toContain('IKE_SA up'));
    const said = await hook('mn-linux.sh', 'down', 'ikev2');
    expect(said).toContain('watch: error: no IKE_SA with ha.home.example after 1 tries: received NO_PROPOSAL_CHOSEN');
    expect(said).toMatch(/watch: IKE_SA up \d+ ms/);
  });

  it('registers again when charon has made other SAs by itself and the home agent has lost the binding', async () => {
    await settle(`IKE=strongswan\nMOBILITY=umip\nSWANCTL_DIR=${state}/swanctl\n`);
    await daemon('mip6d');
    await writeFile(join(bin, 'charon|charon-systemd.pid'), `${process.pid}`);
    await program(
      'swanctl',
      `case $1 in
--load-all) echo "loaded ike secret 'ike-${CONNECTION}-1' loaded connection '${CONNECTION}-1'" ;;
--list-sas) echo "list-sa event {${CONNECTION}-1 {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}" ;;
esac`,
    );
    await writeFile(join(bin, 'esp'), 'src 2001:db8:1::1001 proto esp spi 0x0badcafe');
    await hook('mn-linux.sh', 'up', 'ikev2');
    await eventually(() => readFile(join(bin, 'seen')));
    await program('ping', 'case "$*" in *"-I 2001:db8:1:"*) exit 1 ;; esac');
    await writeFile(join(bin, 'esp'), 'src 2001:db8:1::1001 proto esp spi 0x0c0ffee0');
    await eventually(async () => expect(await startsOf('mip6d')).toBe(2));
    await eventually(async () => expect(await readFile(join(state, '.watch.log'), 'utf8')).toContain('started again'));
    expect(await hook('mn-linux.sh', 'down', 'ikev2')).toContain('watch: the home agent does not have the binding');
  });
});
