// Long, because these tests of ha-linux.sh and mn-linux.sh share the substitutes of their programs.
import { execFile, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasProgram, mip6dConsole, runHook, testNode } from './hook-rig.js';

let state: string;
let bin: string;

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'pana-programs-'));
  bin = join(state, 'bin');
  await mkdir(bin);
  await program('pgrep', '[ "$1" = -x ] && grep -qx "$2" "$bin/running" 2>/dev/null');
  await program('sleep', 'exit 0');
  await program(
    'pkill',
    `echo "pkill $*" >>"$bin/calls"
for name; do :; done
grep -qx "$name" "$bin/running" 2>/dev/null || exit 1
[ "$1" = -HUP ] || { grep -vx "$name" "$bin/running" >"$bin/left"; cp "$bin/left" "$bin/running"; }`,
  );
  for (const name of ['setkey', 'ifconfig', 'ping']) await program(name, `echo "${name} $*" >>"$bin/calls"`);
  await racoonctl();
  await tunnelFrom(undefined);
  for (const name of ['racoon', 'mip6d', 'radvd', 'mnd', 'babymdd', 'had', 'rtadvd']) await daemon(name);
});

afterEach(() => rm(state, { recursive: true, force: true }));

/** Writes a substitute for a program of the system. */
async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\nbin=${bin}\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

/** A program that stays in the background, or that exits at once although it reports success. */
const daemon = (name: string, stays = true, more = '') =>
  program(name, `echo "${name} $*" >>"$bin/calls"\n${stays ? `echo ${name} >>"$bin/running"` : 'exit 0'}\n${more}`);

/** A control program of racoon. establish-sa makes a new ISAKMP SA, if the home agent has the key. */
const racoonctl = (agentHasKey = true) =>
  program(
    'racoonctl',
    `[ "$*" = '-ll show-sa isakmp' ] || echo "racoonctl $*" >>"$bin/calls"
case "$*" in
'-ll show-sa isakmp') echo 'Source  Destination  Cookies  ST S  V E Created  Phase2'; cat "$bin/isakmp" 2>/dev/null || : ;;
flush-sa*) rm -f "$bin/isakmp" ;;
establish-sa*) ${
      agentHasKey
        ? 'echo "$4.500 $5.500 $$:0000000000000002 9 I 10 A 2026-11-26 14:57:14 1" >"$bin/isakmp"'
        : 'echo "$4.500 $5.500 $$:0000000000000000 4 I 10 A 0" >"$bin/isakmp"'
    } ;;
esac`,
  );
/** ESP SAs of nodes 1 and 2, and of somebody else, as `ip` lists them. */
const ESP_SAS = [1, 2, 9]
  .flatMap((n) => [`src 2001:db8:1::100${n} dst 2001:db8:1::1`, `src 2001:db8:1::1 dst 2001:db8:1::100${n}`])
  .map((ends) => `${ends}\n\tproto esp spi 0x0badcafe reqid 1 mode transport\n\treplay-window 4`)
  .join('\n');

const BOUND = `echo 'ip6tnl0: ipv6/ipv6 remote :: local :: encaplimit 0 hoplimit inherit'
echo 'ip6tnl1: ipv6/ipv6 remote 2001:db8:a::11 local 2001:db8:1::1 encaplimit none hoplimit 64'
echo 'ip6tnl2: ipv6/ipv6 remote 2001:db8:a::22 local 2001:db8:1::1 encaplimit none hoplimit 64'
echo 'ip6tnl9: ipv6/ipv6 remote 2001:db8:a::99 local 2001:db8:c::1 encaplimit none hoplimit 64'
echo '2001:db8:1::1001 dev ip6tnl1 proto dhcp metric 192 pref medium'
echo '2001:db8:1::1002 dev ip6tnl2 proto dhcp metric 192 pref medium'
echo '2001:db8:1::/64 dev h0 proto kernel metric 256 pref medium'`;
const proxies = (...of: readonly number[]) => of.map((n) => `neigh del proxy ${testNode(n).hoa} dev eth0;`).join('');
const LEFT = `tunnel del ip6tnl1;tunnel del ip6tnl2;route flush table 252;${proxies(1, 2)}`;
const POLICIES =
  'xfrm policy flush ptype sub;xfrm state flush proto hao;xfrm state flush proto route2;' +
  [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5].map((n) => `rule del pref 100${n};`).join('');
/** What a mip6d that has ended may have left, without bindings of these nodes. */
const cleared = (...of: readonly number[]) => `ip -6: ${POLICIES}route flush table 252;${proxies(...of)}`;

/**
 * `ip`, in a kernel with the ESP SAs, the states of mip6d and what `shows` answers; `batch`: what a batch shows too. Batches that change
 * something are recorded.
 */
const kernel = (shows: string, batch = ':') =>
  program(
    'ip',
    `case "$*" in
'-force -batch -') echo "ip: $(tr "\\n" ";")" >>"$bin/calls" ;;
'-6 -force -batch -')
  lines=$(tr "\\n" ";")
  case $lines in
  xfrm\\ policy\\ [ud]*) echo "$lines" | tr ';' "\\n" | grep . >>"$bin/policies" ;;
  xfrm\\ policy*|tunnel\\ del*) echo "ip -6: $lines" >>"$bin/calls" ;;
  *) echo '${ESP_SAS}'; ${batch} ;;
  esac ;;
*'proto hao') echo 'proto hao reqid 0 mode ro' ;;
${shows}
esac`,
  );
/** A kernel with a tunnel from this care-of address to the home agent. */
const tunnelFrom = (careOf: string | undefined) =>
  kernel(
    '',
    careOf === undefined
      ? ':'
      : `echo 'ip6tnl1: ipv6/ipv6 remote 2001:db8:1::1 local ${careOf} dev eth0 encaplimit none'`,
  );
const ISAKMP_SA =
  '2001:db8:a::11.500  2001:db8:1::1.500  c6f84d34abc4a5c1:06bbc4e323ffdb8c  9 I 10 A 2026-11-26 14:54:44 1\n';
const endOf = (n: number) =>
  `xfrm state delete src 2001:db8:1::100${n} dst 2001:db8:1::1 proto esp spi 0x0badcafe;` +
  `xfrm state delete src 2001:db8:1::1 dst 2001:db8:1::100${n} proto esp spi 0x0badcafe;`;

async function calls(): Promise<string[]> {
  const text = await readFile(join(bin, 'calls'), 'utf8').catch(() => '');
  await rm(join(bin, 'calls'), { force: true });
  return text.replaceAll(state, '$STATE').trim().split('\n');
}

async function hook(script: string, event: string, n = 1, more: { readonly key?: string; readonly hoa?: string } = {}) {
  const { hoa, ...rest } = more;
  const node = { ...testNode(n), ...(hoa === undefined ? {} : { hoa }) };
  return runHook(state, {
    script,
    event,
    node,
    ike: 'ikev1',
    programs: bin,
    ...rest,
  });
}

const settle = (settings: string) => writeFile(join(state, 'hooks.conf'), `IKE=racoon\nWATCH=no\n${settings}`);
const OTHER_KEY = { key: `0x${'ee'.repeat(64)}` };

describe('Hooks with strongSwan and UMIP', () => {
  beforeEach(async () => {
    await writeFile(join(state, 'hooks.conf'), `IKE=strongswan\nWATCH=no\nSWANCTL_DIR=${state}/swanctl\n`);
    await program(
      'swanctl',
      `echo "swanctl $1"
case $1 in
--load-all) for name in pana-2001-db8-1--1001 pana-2001-db8-1--1001-1; do
  echo "loaded ike secret 'ike-$name'"; echo "loaded connection '$name'"; done ;;
--list-sas) echo 'list-sa event {pana-2001-db8-1--1001-1 {state=ESTABLISHED child-sas {mip6 {state=INSTALLED}}}}' ;;
esac
echo "$1" >>"$bin/calls"`,
    );
  });

  it('report the home agent as ready as soon as charon has the key, before radvd and mip6d start', async () => {
    for (const name of ['mip6d', 'radvd']) await daemon(name, true, `echo ${name}`);
    const { output } = await hook('ha-linux.sh', 'up');
    expect((await calls())[0]).toBe('--load-all');
    expect(output).toBe('ready\nradvd\nmip6d\nnodes: 1\n');
  });

  it.runIf(hasProgram('radvd'))('write a configuration that radvd accepts', async () => {
    await hook('ha-linux.sh', 'up');
    const checked = spawnSync('radvd', ['--configtest', '-C', join(state, 'radvd.conf')], { encoding: 'utf8' });
    expect(checked).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('syntax ok'),
    });
  });

  it('start mip6d of the node while charon runs IKE, after one run of swanctl', async () => {
    await hook('mn-linux.sh', 'up');
    const began = (await calls()).filter((call) => !call.startsWith('pkill'));
    expect(began).toEqual(['--load-all', 'mip6d -c $STATE/mip6d.conf', '--list-sas']);
  });
});

describe('ha-linux.sh with racoon and UMIP', () => {
  const ha = (event: string, n = 1, more = {}) => hook('ha-linux.sh', event, n, more);

  it('starts daemons that do not run, and reloads a running one only if its configuration changed', async () => {
    await settle('MIP6D_RELOAD=hup\n');
    expect(await ha('up')).toEqual({ status: 0, output: 'ready\nnodes: 1\n' });
    // mip6d writes the policies that racoon looks up. The hook waits for racoon's control socket.
    expect(await calls()).toEqual([
      'radvd -C $STATE/radvd.conf -p $STATE/radvd.pid',
      'mip6d -c $STATE/mip6d.conf',
      // Those of an earlier racoon, which this one does not know.
      `ip: ${endOf(1)}`,
      'racoon -f $STATE/racoon.conf',
      'racoonctl show-sa isakmp',
    ]);
    await ha('up', 2);
    expect(await calls()).toEqual(['pkill -HUP -x mip6d', 'racoonctl reload-config']);
    // racoon reads psk.txt at every look-up, so a new key needs no reload.
    await ha('refresh', 2, OTHER_KEY);
    expect(await calls()).toEqual(['']);
    await ha('down', 2);
    expect(await calls()).toEqual(['racoonctl reload-config', `ip: ${endOf(2)}`, 'pkill -HUP -x mip6d']);
  });

  it('starts programs again at a probe, and fails if they do not stay up', async () => {
    await settle('');
    await ha('up');
    expect(await ha('probe')).toEqual({ status: 0, output: 'nodes: 1\n' });
    await calls();
    await writeFile(join(bin, 'running'), '');
    expect(await ha('probe')).toEqual({
      status: 0,
      output: 'racoon was not running\nnot running: mip6d radvd\nnodes: 1\n',
    });
    expect(await calls()).toEqual([
      `ip: ${endOf(1)}`,
      'racoon -f $STATE/racoon.conf',
      'racoonctl show-sa isakmp',
      'radvd -C $STATE/radvd.conf -p $STATE/radvd.pid',
      cleared(1),
      'mip6d -c $STATE/mip6d.conf',
      // The bindings are lost: without SAs the nodes register again.
      `ip: ${endOf(1)}`,
      'racoonctl flush-sa isakmp',
    ]);
    await writeFile(join(bin, 'running'), 'racoon\nradvd\n');
    await daemon('mip6d', false);
    expect(await ha('probe')).toEqual({
      status: 1,
      output: 'not running: mip6d\nerror: mip6d has exited after its start\n',
    });
  });

  it('deletes the SAs of a node at its end, by the care-of address of its binding', async () => {
    await settle('');
    await ha('up');
    await calls();
    await program(
      'ip',
      `case "$*" in
'-force -batch -') echo "ip: $(tr "\\n" ";")" >>"$bin/calls" ;;
'-6 -force -batch -') echo "2001:db8:1::1001 dev ip6tnl3 proto 16 metric 128 pref medium"
  echo '${ESP_SAS}'
  for n in 1 33 3; do echo "ip6tnl$n: ip/ipv6 remote 2001:db8:a::$((n + 2)) local 2001:db8:1::1 dev h0 encaplimit none"; done ;;
esac`,
    );
    await ha('down');
    // Without its key the node cannot make new ones to delete its binding.
    expect((await calls()).slice(0, 3)).toEqual([
      'racoonctl reload-config',
      'racoonctl delete-sa isakmp inet6 2001:db8:1::1 2001:db8:a::5',
      `ip: ${endOf(1)}`,
    ]);
  });

  it("leaves a node's newer home address in place when it ends an earlier one", async () => {
    await settle('');
    await ha('up', 1);
    await ha('up', 1, { hoa: '2001:db8:1::2002' });
    await ha('down', 1);
    const conf = await readFile(join(state, 'mip6d.conf'), 'utf8');
    expect(conf).toContain('2001:db8:1::2002');
    expect(conf).not.toContain('2001:db8:1::1001');
    expect(await readFile(join(state, 'psk.txt'), 'utf8')).toContain('mn1@home.example');
  });

  it('restarts mip6d unless it can reload its configuration', async () => {
    await settle('RADVD=no\n');
    await ha('up');
    await calls();
    await ha('up', 2);
    // No node had a binding that could be lost.
    expect(await calls()).toEqual([
      'pkill -KILL -x mip6d',
      cleared(1, 2),
      'mip6d -c $STATE/mip6d.conf',
      'racoonctl reload-config',
    ]);
    await daemon('mip6d', true, '# Cannot change the role on-the-fly');
    await ha('down', 2);
    expect(await calls()).toEqual(['racoonctl reload-config', `ip: ${endOf(2)}`, 'pkill -HUP -x mip6d']);
  });

  it('stops mip6d and radvd after the last node, and removes their files', async () => {
    await settle('');
    await ha('up');
    await writeFile(join(state, 'radvd.pid'), '77\n');
    await calls();
    expect(await ha('down')).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      'racoonctl reload-config',
      `ip: ${endOf(1)}`,
      'pkill -x mip6d',
      'pkill -x -F $STATE/radvd.pid radvd',
    ]);
    expect((await readdir(state)).filter((name) => /mip6d|radvd|starting/.test(name))).toEqual([]);
  });

  it('gives a new mip6d the bindings that the kernel has', async () => {
    const umip = await mip6dConsole(['2001:db8:1::1002']);
    try {
      await settle(`RADVD=no\nMIP6D_CONSOLE=127.0.0.1/${umip.port}\n`);
      await ha('up');
      await ha('up', 2);
      await calls();
      await kernel('', BOUND);
      await writeFile(join(bin, 'running'), 'racoon\n');
      expect((await ha('probe')).output).toBe(
        'not running: mip6d\n2001:db8:1::1001\n2001:db8:1::1002 refused: bc status=130\n' +
          'binding of mn1@home.example kept\nnodes: 2\n',
      );
      // The tunnels carry traffic until the new mip6d has heard the home link's prefix. The node that was refused has to register.
      expect(await calls()).toEqual([
        `ip -6: ${POLICIES}`,
        'mip6d -c $STATE/mip6d.conf',
        `ip -6: ${LEFT}`,
        `ip: ${endOf(2)}`,
        'racoonctl flush-sa isakmp',
      ]);
      expect(umip.asked).toEqual(
        ['1001 coa 2001:db8:a::11', '1002 coa 2001:db8:a::22'].map(
          (rest) => `bc add hoa 2001:db8:1::${rest} local 2001:db8:1::1 flags AHK lifetime 60 dad never `,
        ),
      );
    } finally {
      umip.close();
    }
  });

  it('ends all SAs if mip6d has no console, so that the nodes register again', async () => {
    await settle('RADVD=no\nMIP6D_CONSOLE=127.0.0.1/1\nSTART_SECONDS=4\n');
    await ha('up');
    await ha('up', 2);
    await calls();
    await kernel('', BOUND);
    await writeFile(join(bin, 'running'), 'racoon\n');
    expect((await ha('probe')).output).toBe('not running: mip6d\nbindings not kept: no console\nnodes: 2\n');
    expect((await calls()).slice(2)).toEqual([
      `ip -6: ${LEFT}`,
      `ip: ${endOf(1)}${endOf(2)}`,
      'racoonctl flush-sa isakmp',
    ]);
  });

  it('fails if mip6d does not stay up or is not installed', async () => {
    await settle('RADVD=no\n');
    await daemon('mip6d', false);
    expect(await ha('up')).toEqual({
      status: 1,
      output: 'error: mip6d has exited after its start\n',
    });
    await settle('RADVD=no\n');
    await rm(join(bin, 'mip6d'));
    expect(await ha('up')).toEqual({
      status: 1,
      output: 'error: mip6d is not installed\n',
    });
  });
});

it('mn-linux.sh restarts mip6d for another home address or a new racoon only', async () => {
  await settle('');
  const racoon = ['racoon -f $STATE/racoon.conf', 'racoonctl show-sa isakmp'];
  const mip6d = ['pkill -x mip6d', 'mip6d -c $STATE/mip6d.conf'];
  expect(await hook('mn-linux.sh', 'up')).toMatchObject({ status: 0 });
  expect(await calls()).toEqual([...racoon, ...mip6d]);
  await hook('mn-linux.sh', 'up');
  expect(await calls()).toEqual(['']);
  // Without SAs the next binding update starts IKE.
  await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY);
  expect(await calls()).toEqual(['']);
  await writeFile(join(bin, 'running'), 'mip6d\n');
  await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY);
  expect(await calls()).toEqual([...racoon, ...mip6d]);
  await hook('mn-linux.sh', 'up', 2);
  expect(await calls()).toEqual(['racoonctl reload-config', ...mip6d]);
  await hook('mn-linux.sh', 'down', 2);
  expect(await calls()).toEqual(['pkill -x mip6d', `ip: ${endOf(2)}`, 'racoonctl flush-sa isakmp', 'pkill -x racoon']);
});

it('mn-linux.sh lets PANA pass the policies of mip6d, until the end', async () => {
  await settle('');
  const policies = async () => {
    const text = await readFile(join(bin, 'policies'), 'utf8').catch(() => '');
    await rm(join(bin, 'policies'), { force: true });
    return text.trim().split('\n');
  };
  const to = ['src ::/0 dst fe80::/10 dir out ptype sub', 'src ::/0 dst ::/0 proto udp dport 716 dir out ptype sub'];
  await hook('mn-linux.sh', 'up');
  expect(await policies()).toEqual(to.map((each) => `xfrm policy update ${each} priority 1`));
  await hook('mn-linux.sh', 'refresh');
  expect(await policies()).toEqual(['']);
  await hook('mn-linux.sh', 'down');
  expect(await policies()).toEqual(to.map((each) => `xfrm policy delete ${each}`));
});

describe('mn-linux.sh with racoon and a new key', () => {
  const establish = 'racoonctl establish-sa isakmp inet6 2001:db8:a::11 2001:db8:1::1';

  beforeEach(async () => {
    await settle('START_SECONDS=2\n');
    await hook('mn-linux.sh', 'up');
    await writeFile(join(bin, 'isakmp'), ISAKMP_SA);
    await tunnelFrom('2001:db8:a::11');
    await calls();
  });

  it('replaces the ISAKMP SA, and keeps the ESP SAs and mip6d', async () => {
    expect(await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY)).toEqual({
      status: 0,
      output: '',
    });
    expect(await calls()).toEqual(['racoonctl flush-sa isakmp', establish]);
    // A repeated event and a longer lifetime do not.
    await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY);
    expect(await calls()).toEqual(['']);
  });

  it('establishes it from the care-of address after a move, also if the former one is gone', async () => {
    await rm(join(bin, 'isakmp'));
    await tunnelFrom('2001:db8:d::11');
    expect(await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY)).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      'racoonctl flush-sa isakmp',
      'racoonctl establish-sa isakmp inet6 2001:db8:d::11 2001:db8:1::1',
    ]);
  });

  it('waits until the home agent has the key, and tries again at the next try of the daemon', async () => {
    await racoonctl(false);
    expect(await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY)).toEqual({
      status: 1,
      output: 'error: no ISAKMP SA with the new key after 2 s\n',
    });
    const [first, ...next] = await calls();
    expect(first).toBe('racoonctl flush-sa isakmp');
    expect(new Set(next)).toEqual(new Set([establish]));
    await racoonctl();
    await writeFile(join(bin, 'isakmp'), ISAKMP_SA);
    expect(await hook('mn-linux.sh', 'refresh', 1, OTHER_KEY)).toMatchObject({
      status: 0,
    });
    expect(await calls()).toEqual(['racoonctl flush-sa isakmp', establish]);
  });
});

describe('mn-linux.sh with racoon, at a probe', () => {
  const probe = () => hook('mn-linux.sh', 'probe');

  beforeEach(async () => {
    await settle('');
    await hook('mn-linux.sh', 'up');
    // racoon runs it when the home agent does not answer.
    await promisify(execFile)(join(state, 'racoon-dead'));
    await calls();
  });

  it('makes a new ISAKMP SA from the care-of address if the home agent still has the binding', async () => {
    await tunnelFrom('2001:db8:d::11');
    expect(await probe()).toEqual({ status: 0, output: '' });
    expect(await calls()).toEqual([
      'ping -6 -n -c 1 -w 1 -I 2001:db8:1::1001 2001:db8:1::1',
      // The home agent may have lost them too.
      `ip: ${endOf(1)}`,
      'racoonctl establish-sa isakmp inet6 2001:db8:d::11 2001:db8:1::1',
    ]);
    expect(await readdir(state)).not.toContain('.sas-lost');
  });

  it('ends SAs and registers again if it answers only the care-of address', async () => {
    await tunnelFrom('2001:db8:d::11');
    await program('ping', 'case "$*" in *"-I 2001:db8:1::"*) exit 1 ;; esac');
    const again = 'the home agent has no binding: SAs and binding are made again\n';
    const renewed = [
      `ip: ${endOf(1)}`,
      'racoonctl flush-sa isakmp',
      'racoonctl establish-sa isakmp inet6 2001:db8:d::11 2001:db8:1::1',
    ];
    // The probe was answered with a Binding Error, after which mip6d does not register any more.
    expect(await probe()).toEqual({ status: 0, output: `${again}mip6d is started again\n` });
    expect((await calls()).filter((call) => !call.startsWith('ip -6'))).toEqual([
      ...renewed,
      'pkill -KILL -x mip6d',
      'mip6d -c $STATE/mip6d.conf',
    ]);
    expect(await readdir(state)).not.toContain('.sas-lost');
  });

  it('waits while it answers neither, as before the authorization at a new link, but not for ever', async () => {
    await tunnelFrom('2001:db8:d::11');
    await program('ping', 'exit 1');
    for (let times = 0; times < 2; times += 1) {
      expect(await probe()).toEqual({ status: 1, output: 'error: the home agent does not answer\n' });
    }
    expect(await calls()).toEqual(['']);
    await writeFile(join(state, '.sas-lost'), '-100000000\n');
    expect(await probe()).toMatchObject({ status: 0 });
    expect(await calls()).toContain('racoonctl flush-sa isakmp');
  });

  it('starts racoon again, and mip6d after it', async () => {
    await writeFile(join(bin, 'running'), 'mip6d\n');
    expect(await probe()).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      'racoon -f $STATE/racoon.conf',
      'racoonctl show-sa isakmp',
      // At its regular end it would delete the binding.
      'pkill -KILL -x mip6d',
      `ip -6: ${POLICIES}`,
      'mip6d -c $STATE/mip6d.conf',
    ]);
  });
});

it("mn-linux.sh waits for racoon's control socket before it starts mip6d", async () => {
  await settle('');
  await program('racoonctl', 'echo >>"$bin/asked"; [ "$(wc -l <"$bin/asked")" -gt 8 ]');
  expect(await hook('mn-linux.sh', 'up')).toMatchObject({ status: 0 });
  expect(await readFile(join(bin, 'asked'), 'utf8')).toHaveLength(9);
  await writeFile(join(bin, 'running'), '');
  await calls();
  await program('racoonctl', 'exit 1');
  await settle('START_SECONDS=2\n');
  expect(await hook('mn-linux.sh', 'up')).toMatchObject({
    status: 1,
    output: 'error: racoon is running, but not ready after 2 s\n',
  });
  expect(await calls()).toEqual(['racoon -f $STATE/racoon.conf']);
});

it('mn-linux.sh with MOBILITY=none runs racoon and setkey only', async () => {
  await settle('MOBILITY=none\n');
  expect(await hook('mn-linux.sh', 'up')).toMatchObject({ status: 0 });
  expect(await calls()).toEqual([
    'racoon -f $STATE/racoon.conf',
    'racoonctl show-sa isakmp',
    'setkey -f $STATE/setkey.conf',
  ]);
  await hook('mn-linux.sh', 'down');
  expect(await calls()).toEqual([
    'setkey -f $STATE/setkey-down.conf',
    `ip: ${endOf(1)}`,
    'racoonctl flush-sa isakmp',
    'pkill -x racoon',
  ]);
});

describe('SHISA on FreeBSD', () => {
  it('mn-freebsd.sh sets policies and home address before it starts mnd', async () => {
    await settle('INTERFACE=fxp0\n');
    expect(await hook('mn-freebsd.sh', 'up')).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      'racoon -f $STATE/racoon.conf',
      'racoonctl show-sa isakmp',
      'setkey -f $STATE/setkey.conf',
      'ifconfig mip0 create',
      'ifconfig mip0 inet6 2001:db8:1::1001 prefixlen 64 alias',
      'mnd -c $STATE/mnd.conf -a 2001:db8:1::1 mip0',
      'babymdd -h mip0 fxp0',
    ]);
    await hook('mn-freebsd.sh', 'refresh', 1, OTHER_KEY);
    expect((await calls()).filter((call) => call.startsWith('setkey -f'))).toEqual([]);
    await hook('mn-freebsd.sh', 'down');
    expect((await calls()).slice(0, 4)).toEqual([
      'pkill -x babymdd',
      'pkill -x mnd',
      'setkey -f $STATE/setkey-down.conf',
      'ifconfig mip0 destroy',
    ]);
  });

  it("ha-freebsd.sh sets policies and the home agents' anycast address before it starts had", async () => {
    await settle('INTERFACE=fxp0\n');
    expect(await hook('ha-freebsd.sh', 'up')).toMatchObject({ status: 0 });
    expect(await calls()).toEqual([
      'setkey -c',
      'racoon -f $STATE/racoon.conf',
      'racoonctl show-sa isakmp',
      'setkey -c',
      'setkey -c',
      'ifconfig fxp0 inet6 2001:db8:1::fdff:ffff:ffff:fffe prefixlen 64 anycast alias',
      'had -c $STATE/had.conf fxp0',
      'rtadvd -m fxp0',
    ]);
    await hook('ha-freebsd.sh', 'up', 2);
    expect((await calls()).filter((call) => /^(had|rtadvd|racoon) /.test(call))).toEqual([]);
    await hook('ha-freebsd.sh', 'refresh', 2, OTHER_KEY);
    expect((await calls()).filter((call) => call.startsWith('setkey'))).toEqual([]);
    await hook('ha-freebsd.sh', 'down', 2);
    expect(await calls()).toEqual(['racoonctl reload-config', 'setkey -c', 'setkey -c']);
  });
});
