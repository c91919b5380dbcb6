/** The reports of a site, asked through the one client. */
import type { components } from '../api/schema';
import { answer, client, limits } from './api';

type Schemas = components['schemas'];
export type Funnel = Schemas['Funnel'];
export type FunnelRequest = Schemas['FunnelRequest'];
export type Journeys = Schemas['Journeys'];
export type JourneysRequest = Schemas['JourneysRequest'];
export type Retention = Schemas['Retention'];
export type RetentionRequest = Schemas['RetentionRequest'];
export type Heatmap = Schemas['Heatmap'];
export type HeatmapRequest = Schemas['HeatmapRequest'];
export type PageReport = Schemas['PageReport'];
export type PageRequest = Schemas['PageRequest'];
export type Returning = Schemas['Returning'];
export type ReturningRequest = Schemas['ReturningRequest'];
export type Realtime = Schemas['Realtime'];

export function funnel(domain: string, body: FunnelRequest, signal?: AbortSignal): Promise<Funnel> {
  return answer(client.POST('/v1/sites/{site}/funnel', { params: of(domain), body, ...limits(signal) }));
}

export function journeys(domain: string, body: JourneysRequest, signal?: AbortSignal): Promise<Journeys> {
  return answer(client.POST('/v1/sites/{site}/journeys', { params: of(domain), body, ...limits(signal) }));
}

export function retention(domain: string, body: RetentionRequest, signal?: AbortSignal): Promise<Retention> {
  return answer(client.POST('/v1/sites/{site}/retention', { params: of(domain), body, ...limits(signal) }));
}

export function heatmap(domain: string, body: HeatmapRequest, signal?: AbortSignal): Promise<Heatmap> {
  return answer(client.POST('/v1/sites/{site}/heatmap', { params: of(domain), body, ...limits(signal) }));
}

export function pageReport(domain: string, body: PageRequest, signal?: AbortSignal): Promise<PageReport> {
  return answer(client.POST('/v1/sites/{site}/page', { params: of(domain), body, ...limits(signal) }));
}

export function returning(domain: string, body: ReturningRequest, signal?: AbortSignal): Promise<Returning> {
  return answer(client.POST('/v1/sites/{site}/returning', { params: of(domain), body, ...limits(signal) }));
}

/** filters: those of the Stats API as JSON, "" for none. */
export function realtime(domain: string, filters: string, signal?: AbortSignal): Promise<Realtime> {
  return answer(client.GET('/v1/sites/{site}/realtime', {
    params: { ...of(domain), query: filters === '' ? {} : { filters } }, ...limits(signal),
  }));
}

function of(domain: string): { path: { site: string } } {
  return { path: { site: domain } };
}
