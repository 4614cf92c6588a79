import { answerTo, errorAnswer, type Origin } from '../wire/answers.js';
import { type DiameterMessage, FLAG } from '../wire/codec.js';
import { APPLICATION, CEA, CER } from '../wire/commands.js';
import { type Content, type Grammarian, isViolation, type Violation } from '../wire/grammar.js';
import { RESULT, resultName } from '../wire/result-codes.js';

/** The capabilities of this node for CER and CEA, RFC 6733 5.3. */
export interface LocalCapabilities {
  readonly origin: Origin;
  /** Host-IP-Address; if empty, the local address of the connection is used. */
  readonly addresses: readonly Uint8Array[];
  readonly productName: string;
  readonly vendorId: number;
  /** Increases with each restart (RFC 6733 8.16). */
  readonly originStateId: number;
  readonly applications: readonly number[];
  readonly supportedVendors: readonly number[];
}

/** The capabilities that the peer has announced. */
export interface PeerCapabilities {
  readonly host: string;
  readonly realm: string;
  readonly productName: string | undefined;
  readonly originStateId: number | undefined;
  readonly applications: readonly number[];
  /** Whether the peer is configured as an agent (relay or proxy), which forwards requests (RFC 6733 2.8). */
  readonly relay: boolean;
}

/** Inband-Security-Id NO_INBAND_SECURITY, RFC 6733 6.10: TLS starts before CER or is not used. */
const NO_INBAND_SECURITY = 0;

/** The capabilities exchange of a node, RFC 6733 5.3. */
export class CapabilitiesExchange {
  readonly #local: LocalCapabilities;
  readonly #grammarian: Grammarian;
  readonly #mayRelay: boolean;

  /** `mayRelay`: whether the peer is configured as an agent. What the peer announces about this is ignored. */
  constructor(local: LocalCapabilities, grammarian: Grammarian, mayRelay: boolean) {
    this.#local = local;
    this.#grammarian = grammarian;
    this.#mayRelay = mayRelay;
  }

  /** A CER for a connection with this local address. */
  request(address: Uint8Array): DiameterMessage {
    return this.#grammarian.message(CER, APPLICATION.COMMON, this.#content(address));
  }

  /** The CEA for an accepted CER. */
  answer(cer: DiameterMessage, address: Uint8Array): DiameterMessage {
    const content = { 'Result-Code': RESULT.SUCCESS, ...this.#content(address) };
    return answerTo(cer, this.#grammarian.write(CEA, content));
  }

  /** The CEA for a refused CER, or the error answer in its place. */
  refusal(cer: DiameterMessage, violation: Violation): DiameterMessage {
    return errorAnswer(this.#grammarian, this.#local.origin, cer, violation);
  }

  /** Checks a CER. Returns the peer's capabilities, or why it is refused. */
  readRequest(cer: DiameterMessage, host: string): PeerCapabilities | Violation {
    if (cer.flags & FLAG.E) return refused(RESULT.INVALID_HDR_BITS, 'a request with the E bit');
    const content = this.#grammarian.read(CER, cer);
    if (isViolation(content)) return content;
    return this.#judge(content, host);
  }

  /** Checks a CEA. Returns the peer's capabilities, or what is wrong. */
  readAnswer(cea: DiameterMessage, host: string): PeerCapabilities | Violation {
    const content = this.#grammarian.read(CEA, cea);
    if (isViolation(content)) return content;
    const result = content['Result-Code'];
    if (cea.flags & FLAG.E) return refused(result, `the peer answers ${resultName(result)} with the E bit`);
    if (result !== RESULT.SUCCESS) return refused(result, `the peer refuses: ${resultName(result)}`);
    return this.#judge(content, host);
  }

  #judge(content: Content<typeof CER> | Content<typeof CEA>, host: string): PeerCapabilities | Violation {
    if (content['Origin-Host'].toLowerCase() !== host.toLowerCase()) {
      return refused(RESULT.UNKNOWN_PEER, `Origin-Host is not ${host}`);
    }
    // Each end announces the methods it supports. TLS inside the connection (RFC 3588) is not supported.
    const inband = content['Inband-Security-Id'] ?? [];
    if (inband.length > 0 && !inband.includes(NO_INBAND_SECURITY)) {
      return refused(RESULT.NO_COMMON_SECURITY, 'no common Inband-Security-Id');
    }
    const applications = applicationsOf(content);
    // RFC 6733 5.3: the peers need a common application; a relay supports all. A proxy announces only its own (2.8.2).
    const relay = this.#mayRelay;
    const common = this.#local.applications.some((id) => id === APPLICATION.RELAY || applications.includes(id));
    if (!common && !(relay && applications.includes(APPLICATION.RELAY)))
      return refused(RESULT.NO_COMMON_APPLICATION, 'no common application');
    return {
      host: content['Origin-Host'],
      realm: content['Origin-Realm'],
      productName: content['Product-Name'],
      originStateId: content['Origin-State-Id'],
      applications,
      relay,
    };
  }

  #content(address: Uint8Array) {
    const { origin, addresses, vendorId, productName, originStateId, applications, supportedVendors } = this.#local;
    return {
      'Origin-Host': origin.host,
      'Origin-Realm': origin.realm,
      'Host-IP-Address': addresses.length > 0 ? addresses : [address],
      'Vendor-Id': vendorId,
      'Product-Name': productName,
      'Origin-State-Id': originStateId,
      'Supported-Vendor-Id': supportedVendors,
      'Auth-Application-Id': applications,
      'Inband-Security-Id': [NO_INBAND_SECURITY],
    } as const;
  }
}

/** RFC 6733 5.3: the Vendor-Id inside Vendor-Specific-Application-Id is ignored. */
function applicationsOf(content: Content<typeof CER> | Content<typeof CEA>): number[] {
  const specific = content['Vendor-Specific-Application-Id'] ?? [];
  return [
    ...(content['Auth-Application-Id'] ?? []),
    ...(content['Acct-Application-Id'] ?? []),
    ...specific.flatMap((id) => [id['Auth-Application-Id'], id['Acct-Application-Id']]),
  ].filter((id) => id !== undefined);
}

function refused(resultCode: number, text: string): Violation {
  return { resultCode, failedAvp: undefined, text };
}
