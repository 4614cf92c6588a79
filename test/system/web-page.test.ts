import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab, REALM } from '../../dist/lab/lab.js';

/** Debian's package chromium. */
const CHROMIUM = '/usr/bin/chromium';

/** How long the browser may take for a step, in milliseconds. */
const STEP = 30_000;

const HOSTILE = `<img src=x onerror=document.title=1>\u202e@${REALM}`;
/** As the page shows it. */
const SHOWN = HOSTILE.replace('\u202e', '\\u202e');

/** The operator of the test, as logs and the audit trail name them. */
const WHO = 'alice (web, 127.0.0.1)';

const isThere = existsSync(CHROMIUM);
if (!isThere) process.stderr.write(`SKIPPED: ${CHROMIUM} is missing (Debian: apt-get install chromium)\n`);

let lab: Lab;
let browser: Browser;
const problems: string[] = [];

beforeAll(async () => {
  if (!isThere) return;
  lab = await Lab.make({ family: 'ipv4' });
  // The sandbox needs rights that a test does not have everywhere.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});

afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

/** Opens the page of a daemon and logs in. */
async function pageOf(
  daemon: DaemonProcess,
  scheme: 'http' | 'https' = 'http',
): Promise<{ readonly page: Page; readonly port: number }> {
  const [{ port } = { port: 0 }] = (await daemon.line('web page ready'))['listening'] ?? [];
  // The browser does not know the CA of the lab.
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  page.setDefaultTimeout(STEP);
  page.on('pageerror', ({ message }) => problems.push(message));
  await page.goto(`${scheme}://127.0.0.1:${port}/`);
  await page.fill('#operator', 'alice');
  await page.fill('#token', (await readFile(lab.path('web-token'), 'utf8')).trim());
  await page.click('button[type=submit]');
  return { page, port };
}

/** Presses a button and the button of its confirmation. */
async function press(page: Page, name: string, verb = name): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click();
  await page.locator('dialog').getByRole('button', { name: verb }).click();
}

const ready = Promise.resolve();

/**
 * Shows 10,000 rows in a table of the page, with the middle one current, and then without that one. Returns the rows that
 * its scroll bar stands for and the current row. Throws if more rows are in the document than can be seen.
 */
function rowsDrawn(page: Page): Promise<unknown> {
  return page.evaluate(`(async () => {
    const { VirtualTable } = await import('/assets/table.js');
    const columns = [{ title: 'Name', width: '1fr', text: (row) => 'row ' + row }];
    const table = new VirtualTable('Test', columns, { keyOf: (row) => row });
    document.querySelector('#main').prepend(table.element);
    const rows = Array.from({ length: 10_000 }, (_, i) => i);
    table.set(rows);
    table.select(5_000);
    const frame = () => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    await frame();
    table.set(rows.filter((row) => row !== 5_000));
    await frame();
    const drawn = table.element.querySelectorAll('.vspace .vrow').length;
    if (drawn > innerHeight / 20) throw new Error(drawn + ' rows are in the document');
    const top = (element) => element.getBoundingClientRect().top;
    const away = top(table.element.querySelector('.vhead')) - top(table.scroller);
    if (table.scroller.scrollTop === 0 || Math.abs(away) > 3) throw new Error('the names of the columns are not in view');
    const current = table.element.querySelector('[aria-selected="true"]')?.textContent;
    const counted = Number(table.scroller.getAttribute('aria-rowcount'));
    table.element.remove();
    return [counted, current];
  })()`);
}

it.runIf(isThere)(
  'pages show arrivals live, act, name the operator in the audit trail, and survive a restart',
  async () => {
    const web = { control: { web: '127.0.0.1:0', 'web-token': lab.path('web-token') } };
    // The AAA server's page is open to other hosts, so it needs a certificate.
    await lab.issueServer('web', ['aaa.home.example']);
    const certificate = { 'web-certificate': lab.path('pki', 'web.pem'), 'web-key': lab.path('pki', 'web-key.pem') };
    const { daemon: aaa, place } = await lab.startAaa('aaa', {
      control: { ...web.control, web: '0.0.0.0:0', ...certificate },
    });
    const { daemon: paa } = await lab.startPaa(place, 'paa', web);
    const { page, port } = await pageOf(paa);
    await page.getByText('No client yet').waitFor();

    await lab.addSubscriber(`mn1@${REALM}`, 'mn1');
    const node = await lab.startPac('mn1', web);
    await page.locator('.rungs li[aria-label*="PCI"]').waitFor();
    await page.locator('.picker .badge', { hasText: 'authorized' }).waitFor();
    await page.locator('.rungs li[aria-label*="access router to AAA server: DER"]').first().waitFor();

    // A client that claims what a page must not interpret, and that no subscriber is.
    await lab.issueClient('stranger', `stranger@${REALM}`);
    const stranger = await lab.startPac('stranger', { eap: { identity: HOSTILE } });
    await page.locator('.picker .who', { hasText: SHOWN }).waitFor();
    await stranger.stop();
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.title()).toBe('pana-paa');

    // The node authenticates again when its own page says so, and when that of the AAA server does.
    const { page: pac } = await pageOf(node);
    await press(pac, 'Re-authenticate');
    await pac.click('#tab-ladder');
    await pac.locator('.rungs li[aria-label*="PNR[A]"]').first().waitFor();
    expect(await node.line('operator command')).toMatchObject({ operation: 'reauthenticate', operator: WHO });
    await pac.close();

    const { page: home } = await pageOf(aaa, 'https');
    await press(home, 'Drain ha1', 'Drain');
    await press(home, 'Use again ha1', 'Use again');
    await home.getByRole('button', { name: 'Drain ha1' }).waitFor();
    await home.click('#tab-sessions');
    await home.locator('.vspace .vrow', { hasText: `mn1@${REALM}` }).click();
    await press(home, 'Re-authenticate');
    await home.click('#tab-audit');
    for (const done of ['draining', '"up"', 'reauthenticate']) {
      await home.locator('.vspace .vrow', { hasText: WHO }).filter({ hasText: done }).first().waitFor();
    }

    // Cancel changes nothing, nor does Escape.
    await home.click('#tab-sessions');
    await home.locator('.vspace .vrow', { hasText: `mn1@${REALM}` }).click();
    await home.getByRole('button', { name: 'Disconnect', exact: true }).click();
    await home.locator('dialog').getByRole('button', { name: 'Cancel' }).click();
    await home.getByRole('button', { name: 'Disconnect', exact: true }).click();
    await home.keyboard.press('Escape');
    await home.locator('dialog').waitFor({ state: 'detached' });
    await press(home, 'Disconnect');
    await node.line('session ended');
    await home.click('#tab-audit');
    await home.locator('.vspace .vrow', { hasText: WHO }).filter({ hasText: 'disconnect' }).waitFor();
    expect(await home.locator('.vspace .vrow', { hasText: WHO }).filter({ hasText: 'disconnect' }).count()).toBe(1);
    await home.close();

    // The PAA disconnects the next session itself, with the keyboard alone. The focus comes back when its row is gone.
    await node.stop();
    const next = await lab.startPac('mn1');
    await next.line('bootstrap completed');
    const { session } = await next.line('session authorized');
    await page.locator('#tab-clients').focus();
    const keys = (...names: string[]) => names.reduce((done, key) => done.then(() => page.keyboard.press(key)), ready);
    await keys('ArrowRight');
    // The view follows the address, later.
    await page.locator('#tab-sessions[aria-selected="true"]').waitFor();
    // The row of the former session is gone.
    const rows = page.locator('.vspace .vrow', { hasText: `mn1@${REALM}` });
    await rows.filter({ hasText: String(session) }).waitFor();
    await rows.filter({ hasNotText: String(session) }).waitFor({ state: 'detached' });
    await keys('Tab', 'Tab', 'Tab');
    await page.locator('.vtable:focus').waitFor();
    await keys('ArrowDown', 'Enter');
    await page.locator('aside:focus', { hasText: `mn1@${REALM}` }).waitFor();
    await keys('Escape');
    await page.locator('.vtable:focus').waitFor();
    expect(await page.locator('aside').isVisible()).toBe(false);
    await keys('Enter');
    await page.locator('aside:focus', { hasText: `mn1@${REALM}` }).waitFor();
    await keys('Tab', 'Tab', 'Tab', 'Enter');
    await page.locator('dialog button:focus', { hasText: 'Cancel' }).waitFor();
    await keys('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator('aside button:focus', { hasText: 'Disconnect' }).waitFor();
    await keys('Enter');
    await page.locator('dialog button:focus', { hasText: 'Cancel' }).waitFor();
    await keys('Tab');
    await page.locator('dialog button:focus', { hasText: 'Disconnect' }).waitFor();
    await keys('Enter');
    await next.line('session ended');
    await page.locator('.vtable:focus').waitFor();
    expect(await rowsDrawn(page)).toEqual([10_000, 'row 5001']);
    const asked = await paa.line('operator command');
    expect([asked.operation, asked.operator]).toEqual(['terminate', WHO]);

    await paa.stop();
    await page.getByText('the daemon does not answer').waitFor();
    await lab.startPaa(place, 'paa', { control: { ...web.control, web: `127.0.0.1:${port}` } });
    await page.locator('#link', { hasText: /^live$/ }).waitFor();
    expect(problems).toEqual([]);
  },
);
