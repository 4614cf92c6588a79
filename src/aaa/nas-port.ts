import type { HomeInput, HomeOutput } from '../protocol/home/alphabet.js';

/** Inputs of the home machine that come from NASs. */
export type NasPortInput = Extract<
  HomeInput,
  { type: 'request' | 'termination' | 'report' | 'peerOpen' | 'demandAnswered' }
>;

/** Outputs of the home machine for NASs. */
export type NasPortOutput = Extract<HomeOutput, { type: 'answer' | 'sendDemand' | 'forgetKeys' | 'forgetKeysOf' }>;

/** The home machine's access to NASs over an AAA protocol. */
export interface NasPort {
  /** Writes and sends an answer or a demand. Copies keys, because the caller wipes them. Throws if it cannot write. */
  perform(output: NasPortOutput): void;
  /** Called after `perform` threw: refuses the request, or reports that the demand has failed. */
  failed(output: NasPortOutput): void;
}
