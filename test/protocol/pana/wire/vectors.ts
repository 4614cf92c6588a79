import { readFileSync } from 'node:fs';

export interface PanaVector {
  readonly dir: 'pac->paa' | 'paa->pac';
  readonly type: string;
  readonly flags: string;
  readonly hex: string;
  readonly auth: string | null;
  readonly key_index: number | null;
}

export interface PanaRecording {
  readonly keys: readonly {
    readonly msk: string;
    readonly i_par: string;
    readonly i_pan: string;
    readonly pac_nonce: string;
    readonly paa_nonce: string;
    readonly key_id: string;
    readonly pana_auth_key: string;
  }[];
  readonly messages: readonly PanaVector[];
}

export const RECORDINGS = ['full-eap-tls', 'distinct-nonces', 'reauth'] as const;

/** A session recorded from OpenPANA and FreeRADIUS. */
export function recording(name: (typeof RECORDINGS)[number]): PanaRecording {
  const url = new URL(`../../../vectors/pana-openpana-${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as PanaRecording;
}
