import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { announce } from '../access-network.js';

const execute = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
const SCRIPT = join(PROJECT, 'scripts', 'install.sh');
/** npm may have to contact its registry. */
const PATIENCE = 300_000;

let folder: string;
let tarball: string;

interface Ended {
  readonly status: number;
  readonly output: string;
}

async function run(
  program: string,
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  try {
    const { stdout, stderr } = await execute(program, parameters, {
      // The addon is compiled once, for the project.
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        npm_config_ignore_scripts: 'true',
        npm_config_prefer_offline: 'true',
        ...environment,
      },
      maxBuffer: 2 ** 24,
    });
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, output: `${stdout}${stderr}` };
  }
}

/** The shells installed on this host. */
async function shells(): Promise<string[][]> {
  const found: string[][] = [];
  for (const [program = '', ...more] of [['sh'], ['dash'], ['busybox', 'sh']]) {
    const isThere = (await run('sh', ['-c', `command -v ${program}`])).status === 0;
    if (announce(`install.sh under ${program}`, isThere ? undefined : `it needs ${program}`))
      found.push([program, ...more]);
  }
  return found;
}

const SHELLS = await shells();

async function install(root: string, parameters: readonly string[], system = 'Linux', shell = 0): Promise<Ended> {
  const [program = 'sh', ...more] = SHELLS[shell % SHELLS.length] ?? [];
  const ended = await run(program, [...more, SCRIPT, '--root', root, ...parameters], { PANA_SYSTEM: system });
  // The addon that was compiled for the project.
  const addon = join(root, 'usr/local/lib/node_modules/pana-mip6/node_modules/better-sqlite3');
  if (await exists(addon))
    await cp(join(PROJECT, 'node_modules/better-sqlite3/build'), join(addon, 'build'), { recursive: true });
  return ended;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function everything(root: string): Promise<string[]> {
  return (await readdir(root, { recursive: true })).sort();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-install-'));
  // Without scripts: prepack would rebuild dist while other tests run it.
  await execute('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: PROJECT });
  tarball = join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '');
}, PATIENCE);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('install.sh', () => {
  it('with --dry-run prints what it would do and changes nothing', async () => {
    const root = join(folder, 'dry');
    const { status, output } = await install(root, ['--dry-run', tarball]);
    expect(output).toContain(`would run: npm install --global --prefix ${root}/usr/local`);
    expect(output).toContain(`would write: ${root}/etc/systemd/system/pana-aaa.service`);
    expect(status).toBe(0);
    expect(await exists(root)).toBe(false);
  });

  it("passes the host's global npm configuration to npm", async () => {
    const programs = join(folder, 'site');
    await mkdir(programs);
    const npm = '#!/bin/sh\n[ "$*" != "config get globalconfig" ] || echo /site/npmrc\n';
    await writeFile(join(programs, 'npm'), npm, { mode: 0o755 });
    const { output } = await run('sh', [SCRIPT, '--root', join(folder, 'elsewhere'), '--dry-run', tarball], {
      PATH: `${programs}:${process.env['PATH']}`,
      PANA_SYSTEM: 'Linux',
    });
    expect(output).toContain('/elsewhere/usr/local --globalconfig /site/npmrc --omit=dev');
  });

  it.each([
    [[], 'name the tarball'],
    [['nothing.tgz'], 'file not found: nothing.tgz'],
    [['--frefix', '/x'], 'unknown option --frefix'],
    [['--prefix', 'x', 'y'], '--prefix needs an absolute path'],
    [['--prefix', '/a b', 'y'], 'letters, digits'],
    [['--prefix'], '--prefix needs a folder'],
    [['--purge', 'x.tgz'], '--purge needs --uninstall'],
    [['--uninstall'], 'nothing is installed'],
  ])('rejects %j', async (parameters, reason) => {
    const { status, output } = await install(join(folder, 'none'), parameters);
    expect(output).toContain(reason);
    expect(status).toBe(2);
  });

  it(
    "installs working programs, keeps the operator's files, and uninstalls all others",
    async () => {
      const root = join(folder, 'linux');
      expect(await install(root, [tarball])).toMatchObject({ status: 0 });
      const bin = (name: string) => join(root, 'usr/local/bin', name);
      const demo = await run(bin('pana-mip6'), ['demo']);
      expect(demo.output).toContain('The lease was released');
      expect(demo.status).toBe(0);

      const etc = join(root, 'etc/pana-mip6');
      const pki = join(etc, 'pki');
      await run(bin('pana-mip6'), ['pki', 'init', '--dir', pki]);
      for (const [name, ...whose] of [
        ['aaa', '--server', 'aaa.home.example'],
        ['mn1', '--client', 'mn1@home.example'],
      ]) {
        await run(bin('pana-mip6'), ['pki', 'issue', name ?? '', ...whose, '--dir', pki]);
      }
      for (const name of ['pana-aaa', 'pana-paa', 'pana-pac', 'pana-pre']) {
        const example = await readFile(join(etc, `${name}.example.yaml`), 'utf8');
        const here = example
          .replaceAll('/etc/pana-mip6/', `${etc}/`)
          .replaceAll('/usr/local/share/', `${root}/usr/local/share/`);
        await writeFile(join(etc, `${name}.yaml`), here);
        const check = await run(bin(name), ['check-config', '-c', join(etc, `${name}.yaml`)]);
        expect(check).toMatchObject({ status: 0, output: expect.stringContaining('The configuration is valid.\n') });
        const hooks = example.match(/\/usr\/local\/share\/\S+\.sh/g) ?? [];
        expect(hooks.length > 0).toBe(name !== 'pana-pre');
        for (const hook of hooks) expect((await stat(root + hook)).mode & 0o777).toBe(0o755);
      }
      expect((await stat(join(root, 'usr/local/share/pana-mip6/hooks/common.sh'))).mode & 0o111).toBe(0);
      for (const file of [
        'prometheus/prometheus.example.yml',
        'prometheus/pana-mip6.rules.yml',
        'grafana/pana-paa.json',
      ]) {
        expect((await stat(join(root, 'usr/local/share/pana-mip6', file))).mode & 0o777).toBe(0o644);
      }
      const completion = await readFile(join(root, 'usr/local/share/fish/vendor_completions.d/pana-aaa.fish'), 'utf8');
      expect(completion).toContain('complete --command pana-aaa');
      for (const place of ['bash-completion/completions/pana-aaa', 'zsh/site-functions/_pana-aaa']) {
        expect(await exists(join(root, 'usr/local/share', place)), place).toBe(true);
      }
      const pages = (await everything(join(root, 'usr/local/share/man'))).filter((path) => path.includes('/'));
      expect(pages.map((path) => path.replace(/.*\//, ''))).toEqual([
        'pana-mip6.1',
        'pana-aaa.yaml.5',
        'pana-paa.yaml.5',
        'pana-pac.yaml.5',
        'pana-pre.yaml.5',
        'pana-aaa.8',
        'pana-paa.8',
        'pana-pac.8',
        'pana-pre.8',
      ]);
      const mine = await readFile(join(etc, 'pana-aaa.yaml'), 'utf8');

      // An update must not write to the operator's files, and a strict umask must not restrict the installed ones.
      await writeFile(join(root, 'usr/local/share/pana-mip6/hooks/mine.sh'), '');
      const before = await everything(root);
      const manifest = join(root, 'usr/local/share/pana-mip6/manifest');
      const former = 'usr/local/share/pana-mip6/hooks/former.sh';
      await writeFile(join(root, former), '');
      await writeFile(manifest, `${await readFile(manifest, 'utf8')}file /${former}\n`);
      const mask = process.umask(0o077);
      const update = await install(root, [tarball], 'Linux', 1);
      process.umask(mask);
      expect(update.output).toContain('systemctl try-restart');
      expect(update.status).toBe(0);
      expect(await everything(root)).toEqual(before);
      const bundle = join(root, 'usr/local/lib/node_modules/pana-mip6/dist/bundle');
      expect((await stat(join(bundle, 'pana-aaa.cjs'))).mode & 0o777).toBe(0o755);
      // Compiled code, which daemons of another user read.
      const chunks = await readdir(join(bundle, 'chunks'));
      for (const chunk of chunks.filter((file) => file.endsWith('.cjs'))) {
        expect((await stat(join(bundle, 'chunks', `${chunk}.cache`))).mode & 0o777).toBe(0o644);
      }
      expect((await stat(join(root, 'etc/systemd/system/pana-aaa.service'))).mode & 0o777).toBe(0o644);
      const dropIn = 'usr/local/lib/systemd/system/pana-paa.service.d/packet-filter.conf';
      expect(await readFile(join(root, dropIn), 'utf8')).toContain('AmbientCapabilities=CAP_NET_ADMIN\n');
      expect(await readFile(join(etc, 'pana-aaa.yaml'), 'utf8')).toBe(mine);
      await rm(join(root, 'usr/local/share/pana-mip6/hooks/mine.sh'));

      const state = join(root, 'var/lib/pana-aaa');
      await mkdir(state, { recursive: true });
      await mkdir(join(root, 'var/db'));
      await symlink('/var/lib/pana-aaa', join(root, 'var/db/pana-aaa'));
      await writeFile(join(state, 'store.db'), '');
      await mkdir(join(root, 'var/lib/pana-paa'));
      const gone = await install(root, ['--uninstall'], 'Linux', 2);
      expect(gone).toEqual({ status: 0, output: `kept: ${etc}\nkept: ${state}\n` });
      const kept = (await everything(root)).filter((path) => !path.startsWith('etc/pana-mip6/pki/'));
      expect(kept).toEqual([
        'etc',
        'etc/pana-mip6',
        'etc/pana-mip6/pana-aaa.yaml',
        'etc/pana-mip6/pana-paa.yaml',
        'etc/pana-mip6/pana-pac.yaml',
        'etc/pana-mip6/pana-pre.yaml',
        'etc/pana-mip6/pki',
        'var',
        'var/db',
        'var/lib',
        'var/lib/pana-aaa',
        'var/lib/pana-aaa/store.db',
      ]);
      expect(await install(root, ['--uninstall', '--purge'])).toEqual({ status: 0, output: '' });
      expect(await everything(root)).toEqual(['etc', 'var', 'var/db', 'var/lib']);
    },
    PATIENCE,
  );

  it(
    'removes all folders that it created, and with --purge the configuration too',
    async () => {
      const root = join(folder, 'purged');
      expect(await install(root, ['--prefix', '/opt/pana', tarball], 'Linux', 2)).toMatchObject({ status: 0 });
      const unit = await readFile(join(root, 'etc/systemd/system/pana-aaa.service'), 'utf8');
      expect(unit).toContain('\nExecStart=/opt/pana/bin/pana-aaa run');
      expect(unit).not.toContain('/usr/local/bin/pana');
      expect(await install(root, ['--prefix', '/opt/pana', '--uninstall'])).toEqual({ status: 0, output: '' });
      expect(await everything(root)).toEqual([]);

      expect(await install(root, [tarball])).toMatchObject({ status: 0 });
      await writeFile(join(root, 'etc/pana-mip6/pana-aaa.yaml'), 'x');
      expect(await install(root, ['--uninstall', '--purge'])).toMatchObject({ status: 0 });
      expect(await everything(root)).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'keeps the earlier version if npm fails, and warns if better-sqlite3 was not built',
    async () => {
      const root = join(folder, 'half');
      const first = await run('sh', [SCRIPT, '--root', root, tarball], { PANA_SYSTEM: 'Linux' });
      expect(first.output).toContain('warning: better-sqlite3 was not built');
      expect(first.status).toBe(0);
      const before = await everything(root);
      await mkdir(join(folder, 'broken'), { recursive: true });
      await writeFile(join(folder, 'broken/npm'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
      const PATH = `${join(folder, 'broken')}:${process.env['PATH']}`;
      expect((await run('sh', [SCRIPT, '--root', root, tarball], { PANA_SYSTEM: 'Linux', PATH })).status).toBe(1);
      expect(await everything(root)).toEqual(before);
      expect(await install(root, ['--uninstall'])).toEqual({ status: 0, output: '' });
      expect(await everything(root)).toEqual([]);
    },
    PATIENCE,
  );

  it(
    'refuses manifest entries outside its own paths',
    async () => {
      const root = join(folder, 'forged');
      await mkdir(join(root, 'usr/local/share/pana-mip6'), { recursive: true });
      await mkdir(join(root, 'victim'));
      for (const line of ['tree /victim', 'file /usr/../victim', 'file victim', 'link /victim']) {
        await writeFile(join(root, 'usr/local/share/pana-mip6/manifest'), `${line}\n`);
        expect((await install(root, ['--uninstall'])).status).not.toBe(0);
        expect(await exists(join(root, 'victim'))).toBe(true);
      }
    },
    PATIENCE,
  );

  it(
    'uses the paths of FreeBSD',
    async () => {
      const root = join(folder, 'freebsd');
      expect(await install(root, ['--prefix=/usr/local', tarball], 'FreeBSD', 2)).toMatchObject({ status: 0 });
      const etc = join(root, 'usr/local/etc');
      expect((await stat(join(etc, 'rc.d/pana_aaa'))).mode & 0o777).toBe(0o755);
      const config = await readFile(join(etc, 'pana-mip6/pana-pac.example.yaml'), 'utf8');
      expect(config).toContain(' ca: /usr/local/etc/pana-mip6/pki/ca.pem');
      expect(config).toContain('/hooks/mn-freebsd.sh');
      expect(config).not.toMatch(/linux| \/etc/);
      expect(await exists(join(root, 'etc'))).toBe(false);
      expect(await install(root, ['--uninstall'], 'FreeBSD', 1)).toEqual({ status: 0, output: '' });
      expect(await everything(root)).toEqual([]);
    },
    PATIENCE,
  );
});

const analyse = announce(
  'units and systemd-analyze',
  (await run('sh', ['-c', 'command -v systemd-analyze'])).status === 0 ? undefined : 'they need systemd-analyze',
);

describe.skipIf(!analyse)('The systemd units', () => {
  const names = ['pana-aaa', 'pana-paa', 'pana-pac', 'pana-pre'] as const;

  const verify = (file: string) => run('systemd-analyze', ['verify', '--recursive-errors=no', '--man=no', file]);

  /** Writes a unit to its own folder. Its program exists, since systemd checks that. */
  async function unitIn(place: string, name: string): Promise<string> {
    await mkdir(place, { recursive: true });
    const text = await readFile(join(PROJECT, `scripts/systemd/${name}.service`), 'utf8');
    const path = join(place, `${name}.service`);
    await writeFile(
      path,
      text.replaceAll(/\/usr\/local\/bin\/pana-\w+/g, '/bin/true').replace(/^Documentation=.*\n/m, ''),
    );
    return path;
  }

  it.each(names)('%s passes systemd-analyze verify', async (name) => {
    const place = join(folder, 'verify');
    expect(await verify(await unitIn(place, name))).toEqual({ status: 0, output: '' });
    const broken = join(place, 'broken.service');
    await writeFile(broken, '[Service]\nExecStart=/bin/true\nProtectSystems=strict\n');
    expect(await verify(broken)).not.toEqual({ status: 0, output: '' });
  });

  it.each([
    ['pana-paa', 'packet-filter'],
    ['pana-paa', 'packet-filter-legacy'],
    ['pana-paa', 'home-agent-here'],
    ['pana-aaa', 'home-agent-here'],
    ['pana-aaa', 'ping-probe'],
  ])('%s passes it with the drop-in %s', async (name, dropIn) => {
    const unit = await unitIn(join(folder, `${name}-${dropIn}`), name);
    const more = `${unit}.d`;
    await mkdir(more);
    await cp(join(PROJECT, `scripts/systemd/drop-ins/${dropIn}.conf`), join(more, `${dropIn}.conf`));
    expect(await verify(unit)).toEqual({ status: 0, output: '' });
    await writeFile(join(more, 'wrong.conf'), '[Service]\nAmbient=CAP_NET_ADMIN\n');
    expect((await verify(unit)).output).toContain("Unknown key 'Ambient'");
  });

  it('pana-closed@.service passes it, and closes the link before the network is up', async () => {
    const text = await readFile(join(PROJECT, 'scripts/systemd/pana-closed@.service'), 'utf8');
    const place = join(folder, 'closed');
    await mkdir(place);
    const path = join(place, 'pana-closed@ep-nft.service');
    const hook = join(PROJECT, 'scripts/hooks/%i.sh');
    await writeFile(path, text.replace(/\/usr\/local\S+%i\.sh/, hook).replace(/^Documentation=.*\n/m, ''));
    expect(await verify(path)).toEqual({ status: 0, output: '' });
    expect(text).toMatch(/^Before=network-pre\.target /m);
  });

  it('do not check the configuration in ExecStartPre, whose status does not prevent restarts', async () => {
    for (const name of names) {
      const text = await readFile(join(PROJECT, `scripts/systemd/${name}.service`), 'utf8');
      expect(text).toContain('\nRestartPreventExitStatus=2\n');
      expect(text).not.toMatch(/^ExecStartPre=/m);
    }
  });

  it.each([
    ['pana-aaa', '20'],
    ['pana-paa', '20'],
    ['pana-pac', '60'],
    ['pana-pre', '20'],
  ])('%s has an exposure level of less than %s tenths', async (name, threshold) => {
    const path = join(PROJECT, `scripts/systemd/${name}.service`);
    const { status, output } = await run('systemd-analyze', [
      'security',
      '--offline=true',
      '--no-pager',
      `--threshold=${threshold}`,
      path,
    ]);
    expect(output).toContain('Overall exposure level');
    expect(status).toBe(0);
  });
});
