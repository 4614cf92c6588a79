import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Lab, REALM } from '../../dist/lab/lab.js';

/** Debian's package chromium. */
const CHROMIUM = '/usr/bin/chromium';

/** How long the browser may take for a step, in milliseconds. */
const STEP = 30_000;

const HOSTILE = `<img src=x onerror=document.title=1>@${REALM}`;

const isThere = existsSync(CHROMIUM);
if (!isThere) process.stderr.write(`SKIPPED: ${CHROMIUM} is missing (Debian: apt-get install chromium)\n`);

let lab: Lab;
let browser: Browser;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  if (!isThere) return;
  lab = await Lab.make({ family: 'ipv4' });
  // The sandbox needs rights that a test does not have everywhere.
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  page = await browser.newPage();
  page.setDefaultTimeout(STEP);
  page.on('pageerror', ({ message }) => problems.push(message));
});

afterAll(async () => {
  await browser?.close();
  await lab?.close();
});

it.runIf(isThere)('the page of a PAA shows arrivals live, disconnects, and survives a restart', async () => {
  const web = { control: { web: '127.0.0.1:0', 'web-token': lab.path('web-token') } };
  const { place } = await lab.startAaa();
  const { daemon: paa } = await lab.startPaa(place, 'paa', web);
  const [{ port } = { port: 0 }] = (await paa.line('web page ready'))['listening'] ?? [];
  const token = (await readFile(lab.path('web-token'), 'utf8')).trim();
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.fill('#operator', 'alice');
  await page.fill('#token', token);
  await page.click('button[type=submit]');
  await page.getByText('No client yet').waitFor();

  await lab.addSubscriber(`mn1@${REALM}`, 'mn1');
  const node = await lab.startPac('mn1');
  await page.locator('.rungs li[aria-label*="PCI"]').waitFor();
  await page.locator('.picker .badge', { hasText: 'authorized' }).waitFor();
  await page.locator('.rungs li[aria-label*="access router to AAA server: DER"]').first().waitFor();

  // A client that claims what a page must not interpret, and that no subscriber is.
  await lab.issueClient('stranger', `stranger@${REALM}`);
  const stranger = await lab.startPac('stranger', { eap: { identity: HOSTILE } });
  await page.locator('.picker .who', { hasText: HOSTILE }).waitFor();
  await stranger.stop();
  expect(await page.locator('main img').count()).toBe(0);
  expect(await page.title()).toBe('pana-paa');

  await page.click('#tab-sessions');
  await page.locator('.vspace .vrow', { hasText: `mn1@${REALM}` }).click();
  await page.getByRole('button', { name: 'Disconnect' }).click();
  await page.locator('dialog').getByRole('button', { name: 'Disconnect' }).click();
  await node.line('session ended');
  const asked = await paa.line('operator command');
  expect([asked.operation, asked.operator]).toEqual(['terminate', 'alice (web, 127.0.0.1)']);

  await paa.stop();
  await page.getByText('the daemon does not answer').waitFor();
  await lab.startPaa(place, 'paa', { control: { ...web.control, web: `127.0.0.1:${port}` } });
  await page.locator('#link', { hasText: /^live$/ }).waitFor();
  expect(problems).toEqual([]);
});
