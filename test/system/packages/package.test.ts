import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../eventually.js';
import { announce, missing } from '../access-network.js';
import { BootedHost } from '../quick-start/booted-host.js';
import { debianRoot, rootMissing } from './debian-root.js';

const execute = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
/** Debian's mirror has to be asked, and the machine may be loaded. */
const PATIENCE = 900_000;

const canBuild = announce('Debian packages', missing('dpkg-deb', 'dpkg-shlibdeps', 'strip'));
const canCheck = announce('lintian', missing('lintian'));
const canBoot = announce('packages in a bare Debian', rootMissing() ?? missing('systemd-nspawn', 'nsenter'));

let folder: string;
/** Begun before the tests, because the mirror takes time in which a processor is free. */
let root: Promise<string> | undefined;
let made: ReadonlyMap<string, string>;

/** Makes the packages in a folder; resolves with the paths by name of the package. */
async function build(
  to: string,
  parameters: readonly string[] = [],
  variables: NodeJS.ProcessEnv = {},
): Promise<ReadonlyMap<string, string>> {
  const command = [join(PROJECT, 'scripts/package/build.sh'), '--compression', 'gzip', '--output', to, ...parameters];
  const environment = { ...process.env, SOURCE_DATE_EPOCH: '1700000000', TMPDIR: folder, ...variables };
  await execute('sh', command, { cwd: '/', env: environment });
  return new Map((await readdir(to)).map((file) => [file.replace(/_.*/, ''), join(to, file)]));
}

function packageOf(name: string): string {
  const path = made.get(name);
  if (path === undefined) throw new Error(`no package ${name}`);
  return path;
}

/** The package with another version, and another line in a file of the configuration. */
async function variant(version: string, line: string): Promise<string> {
  const root = join(folder, `variant-${version}`);
  await execute('dpkg-deb', ['--raw-extract', packageOf('pana-mip6'), root]);
  for (const [file, from, to] of [
    ['DEBIAN/control', /^Version: .*$/m, `Version: ${version}`],
    ['etc/pana-mip6/pana-aaa.yaml', /^log:$/m, `${line}\nlog:`],
  ] as const) {
    await writeFile(join(root, file), (await readFile(join(root, file), 'utf8')).replace(from, to));
  }
  const path = join(folder, `pana-mip6_${version}.deb`);
  await execute('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '--build', root, path]);
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-packages-'));
  if (canBuild && canBoot) {
    root = debianRoot('bookworm', join(folder, 'base'), ['iproute2', 'procps', 'libstdc++6']);
  }
  // The test that uses it reports the error.
  root?.catch(() => undefined);
  if (canBuild) made = await build(join(folder, 'made'));
}, PATIENCE);

afterAll(async () => {
  await root?.catch(() => undefined);
  await rm(folder, { recursive: true, force: true });
});

describe.skipIf(!canBuild)('npm run package', () => {
  it('makes the same octets again, whatever the environment is', { timeout: PATIENCE }, async () => {
    await mkdir(join(folder, 'elsewhere'));
    const other = { TZ: 'Asia/Tokyo', LC_ALL: 'C.UTF-8', HOME: '/', TMPDIR: join(folder, 'elsewhere') };
    const again = (await build(join(folder, 'again'), ['--without-nodejs'], other)).get('pana-mip6') ?? '';
    expect((await readFile(again)).equals(await readFile(packageOf('pana-mip6')))).toBe(true);
  });

  it('puts no path of this machine into a package', { timeout: PATIENCE }, async () => {
    const root = join(folder, 'extracted');
    await execute('dpkg-deb', ['--raw-extract', packageOf('pana-mip6'), root]);
    const places = [PROJECT.replace(/\/$/, ''), folder].flatMap((place) => ['-e', place]);
    const found = await execute('grep', ['-rlF', ...places, root]).catch(({ stdout }: { stdout: string }) => ({
      stdout,
    }));
    expect(found.stdout).toBe('');
    expect(await readFile(join(root, 'usr/lib/systemd/system/pana-aaa.service'), 'utf8')).not.toContain('/usr/local/l');
  });

  it.skipIf(!canCheck)('has nothing that lintian reports', { timeout: PATIENCE }, async () => {
    const { stdout } = await execute('lintian', ['--allow-root', '--fail-on', 'error', packageOf('pana-mip6')]);
    expect(stdout).toBe('');
  });
});

/** The addresses of the example configurations, on one host. */
async function addressesOf(namespace: string): Promise<void> {
  const ip = (...words: readonly string[]) => execute('ip', ['-n', namespace, ...words]);
  await ip('link', 'set', 'lo', 'up');
  await ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1');
  for (const [link, address] of [
    ['eth0', '2001:db8:a::11/64'],
    ['eth1', '2001:db8:a::1/64'],
    ['eth1', 'fe80::1/64'],
    ['lo', '2001:db8:ff::3/128'],
  ] as const) {
    await ip('link', 'set', link, 'up');
    await ip('address', 'add', address, 'dev', link, 'nodad');
  }
}

describe.skipIf(!canBuild || !canBoot)('The packages on a bare Debian 12', () => {
  it('install, run, upgrade, are removed and purged', { timeout: PATIENCE }, async () => {
    const base = (await root) ?? '';
    const host = new BootedHost('debian', { roots: [base], folder, others: [], environment: {} });
    onTestFinished(() => host.remove());
    await host.prepare({});
    await addressesOf(host.namespace);
    await mkdir(join(host.root, 'root'), { recursive: true });
    // The root is thrown away: nothing in it must survive a power failure.
    await writeFile(join(host.root, 'etc/dpkg/dpkg.cfg.d/unsafe-io'), 'force-unsafe-io\n');
    for (const [name, path] of [
      ['old', await variant('0.0.9', '# as it was')],
      ['new', await variant('9.0.0', '# as it is now')],
      ['nodejs', packageOf('pana-mip6-nodejs')],
    ] as const) {
      await copyFile(path, join(host.root, 'root', `${name}.deb`));
    }
    await host.boot();
    /** Types commands. Resolves with what they printed on standard output, or on standard error. */
    const type = async (commands: string, on: 'stdout' | 'stderr' = 'stdout') => {
      try {
        return (await host.type(commands, { limit: 300_000 }))[on];
      } catch (error) {
        if (error instanceof Error) error.message += `\n${await host.journal()}`;
        throw error;
      }
    };

    // Without Node.js of the right version.
    await type('cd /root; export DEBIAN_FRONTEND=noninteractive');
    expect(await type('! dpkg --install old.deb', 'stderr')).toContain(
      'depends on nodejs (>= 20.19~) | pana-mip6-nodejs (>= 20.19~)',
    );
    await type('dpkg --install nodejs.deb old.deb');
    expect(await type('pana-mip6 demo')).toContain('The lease was released');
    expect(await type('systemctl is-enabled pana-aaa pana-paa pana-pac || :')).toBe('disabled\ndisabled\ndisabled');
    expect(await type('systemctl is-active pana-aaa pana-paa pana-pac || :')).toBe('inactive\ninactive\ninactive');
    expect(await type('stat -c "%U %a" /var/lib/pana-aaa /var/lib/pana-paa /var/lib/pana-pac')).toBe(
      'pana 700\npana 700\nroot 700',
    );

    // All three from the samples, on one host.
    await type(`
      cd /etc/pana-mip6
      sed -i 's/from: .2001:db8:ff::2./from: [2001:db8:ff::3]/; s/ha-ssh.sh/ha-linux.sh/' pana-aaa.yaml
      sed -i 's/ep-nft.sh/ep-list.sh/' pana-paa.yaml
      for daemon in aaa paa pac; do echo DRY_RUN=yes >/var/lib/pana-$daemon/hooks.conf; done
      pana-mip6 pki init --dir pki
      pana-mip6 pki issue aaa --server aaa.home.example --dir pki
      pana-mip6 pki issue mn1 --client mn1@home.example --dir pki
      chmod 755 pki
      chgrp pana pki/aaa-key.pem
      chmod 640 pki/aaa-key.pem
      for daemon in aaa paa pac; do pana-$daemon check-config -c pana-$daemon.yaml; done
      export PANA_AAA_CONFIG=/etc/pana-mip6/pana-aaa.yaml
      pana-aaa home-agent add ha1 --address 2001:db8:1::1 --host ha1.home.example --prefix 2001:db8:1::/64
      pana-aaa subscriber add mn1@home.example
      systemctl enable --now pana-aaa pana-paa pana-pac
    `);
    expect(await type('systemctl is-active pana-aaa pana-paa pana-pac')).toBe('active\nactive\nactive');
    await eventually(async () => expect(await type('pana-pac status')).toMatch(/^state +OPEN$/m), { limit: 60_000 });
    expect(await type('pana-aaa session list')).toContain('mn1@home.example');
    expect(await type('ps -o user= -C node | sort -u')).toBe('pana\nroot');

    // systemd: a drop-in, a reload, the journal, and a daemon that hangs.
    const pid = async () => (await type('systemctl show --value -p MainPID pana-paa')).trim();
    await type(`
      mkdir -p /etc/systemd/system/pana-paa.service.d
      printf '[Service]\\nWatchdogSec=6\\n' >/etc/systemd/system/pana-paa.service.d/quick.conf
      systemctl daemon-reload
      systemctl restart pana-paa
      sed -i 's/level: info/level: debug/' /etc/pana-mip6/pana-paa.yaml
      systemctl reload pana-paa
    `);
    await eventually(async () =>
      expect(await type('journalctl -u pana-paa --output cat')).toContain('configuration reloaded'),
    );
    expect(await type('journalctl -u pana-paa -p warning --output cat')).not.toContain('configuration reloaded');
    const hung = await pid();
    await type(`kill -STOP ${hung}`);
    await eventually(async () => expect(await pid()).not.toMatch(new RegExp(`^(${hung}|0)$`)), { limit: 60_000 });
    await eventually(async () => expect(await type('systemctl is-active pana-paa || :')).toBe('active'));
    expect(await type('journalctl -u pana-paa --output cat')).toContain('Watchdog timeout');

    // An upgrade keeps the changed file, and restarts what runs.
    const before = await pid();
    await type('cd /root; dpkg --force-confdef --force-confold --install new.deb');
    const kept = await type('cat /etc/pana-mip6/pana-aaa.yaml');
    expect(kept).toContain('# as it was');
    expect(kept).toContain('from: [2001:db8:ff::3]');
    expect(await type('cat /etc/pana-mip6/pana-aaa.yaml.dpkg-dist')).toContain('# as it is now');
    expect(await type('systemctl is-enabled pana-paa')).toBe('enabled');
    await eventually(async () => expect(await type('systemctl is-active pana-paa || :')).toBe('active'));
    expect(await pid()).not.toBe(before);
    await eventually(async () => expect(await type('pana-pac status')).toMatch(/^state +OPEN$/m), { limit: 60_000 });

    // A removal keeps what is not the package's.
    await type('dpkg --remove pana-mip6');
    expect(await type('ps -o user= -C node || :')).toBe('');
    expect(await type('ls /usr/sbin/pana-* /usr/lib/pana-mip6 || :')).toBe('');
    expect(await type('cat /etc/pana-mip6/pana-aaa.yaml')).toBe(kept);
    expect(await type('dpkg --purge pana-mip6', 'stderr')).toContain('the store in /var/lib/pana-aaa stays');
    expect(await type('ls /var/lib/pana-aaa/store.db; ls /etc/pana-mip6; ls -d /var/lib/pana-*')).toBe(
      '/var/lib/pana-aaa/store.db\npki\n/var/lib/pana-aaa',
    );

    // The next installation uses the store again; one that may remove it is told so.
    await type('dpkg --install new.deb');
    expect(await type('pana-aaa subscriber list -c /etc/pana-mip6/pana-aaa.yaml')).toContain('mn1@home.example');
    await type(`
      echo 'pana-mip6 pana-mip6/purge-store boolean true' | debconf-set-selections
      dpkg --purge pana-mip6 pana-mip6-nodejs
    `);
    expect(await type('ls -d /var/lib/pana-* /usr/lib/pana-* /usr/share/pana-* || :')).toBe('');
  });
});
