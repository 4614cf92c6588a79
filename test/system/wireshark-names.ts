import { readFile } from 'node:fs/promises';

const FOLDER = '/usr/share/wireshark/diameter';

/** Values that Wireshark's dictionary has and the RFCs do not: reserved, unassigned, of vendors, or an error of its own. */
const NOT_ASSIGNED: Readonly<Record<number, readonly string[]>> = {
  6: ['0'],
  7: ['255', '256', '257', '258', '259', '260', '261'],
  15: ['7'],
  72: ['3'],
  101: ['0'],
  295: ['9', '10'],
  483: ['0'],
  494: ['0'],
};

/** The values of enumerated AVPs without a vendor that Wireshark's dictionary names, by AVP code. */
export async function valuesOfAvps(): Promise<ReadonlyMap<number, readonly string[]>> {
  const out = new Map<number, readonly string[]>();
  for (const name of ['dictionary', 'nasreq', 'eap', 'mobileipv4', 'mobileipv6']) {
    const text = await readFile(`${FOLDER}/${name}.xml`, 'utf8').catch(() => '');
    for (const [, code = '', attributes = '', body = ''] of text.matchAll(
      /<avp name="[^"]+" code="(\d+)"([^>]*[^/])>(.*?)<\/avp>/gs,
    )) {
      if (attributes.includes('vendor-id') && !attributes.includes('vendor-id="None"')) continue;
      const values = [...body.matchAll(/<enum name="[^"]*" code="(\d+)"/g)].map(([, value = '']) => value);
      if (values.length === 0) continue;
      const left = NOT_ASSIGNED[Number(code)] ?? [];
      out.set(
        Number(code),
        values.filter((value) => !left.includes(value)),
      );
    }
  }
  return out;
}
