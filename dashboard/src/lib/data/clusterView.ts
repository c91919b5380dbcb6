/** The picture of a cluster: its nodes, and its shards as a grid. */

export interface ClusterNode {
  number: number;
  name: string;
  zone?: string;
  region?: string;
  roles: string;
  state: string;
  version?: string;
  http?: string;
  live: boolean;
  replicas: number;
  leaders: number;
  disk_free?: number;
  disk_size?: number;
  spool_bytes: number;
  shed?: boolean;
}
export interface ClusterMember { node: number; role: string; lag: number; active: boolean; failed?: boolean }
export interface ClusterShard { id: number; leader: number; rate: number; log_bytes: number; members: ClusterMember[]; op?: { kind: string; since: number } | null }
export interface ClusterStatus {
  leading: boolean;
  cluster: { shards: number; replicas: number; founded?: number };
  nodes: ClusterNode[];
  shards: ClusterShard[];
  problems?: string[];
}

/** Colours that are told apart; nodes beyond share them again, the number in the cell tells. */
export const COLOURS = 6;

export interface ShardCell {
  id: number;
  leader: number;
  /** 1 to COLOURS; 0 where nobody leads. */
  colour: number;
  /** Of the replica that is furthest behind. */
  lag: number;
  voters: number;
  wanted: number;
  state: 'whole' | 'moving' | 'thin' | 'leaderless' | 'damaged';
  op: string;
}

/** The shards in the order of their ids, without the control group, which has the last one. */
export function shardCells(status: ClusterStatus): ShardCell[] {
  const order = status.nodes.map((node) => node.number).sort((a, b) => a - b);
  return status.shards.filter((shard) => shard.id < status.cluster.shards).sort((a, b) => a.id - b.id).map((shard) => {
    const voters = shard.members.filter((member) => member.role === 'voter' && member.active).length;
    return {
      id: shard.id, leader: shard.leader, colour: shard.leader === 0 ? 0 : (Math.max(0, order.indexOf(shard.leader)) % COLOURS) + 1,
      lag: Math.max(0, ...shard.members.map((member) => member.lag)), voters, wanted: status.cluster.replicas,
      state: shard.leader === 0 ? 'leaderless' : shard.members.some((member) => member.failed) ? 'damaged' : shard.op ? 'moving'
        : voters < status.cluster.replicas ? 'thin' : 'whole',
      op: shard.op?.kind ?? '',
    };
  });
}

export interface ClusterSums { live: number; nodes: number; led: number; shards: number; thin: number; moving: number; lag: number; spool: number; rate: number }

export function clusterSums(status: ClusterStatus): ClusterSums {
  const cells = shardCells(status);
  const nodes = status.nodes.filter((node) => node.state !== 'removed');
  return {
    live: nodes.filter((node) => node.live).length, nodes: nodes.length, led: cells.filter((cell) => cell.leader !== 0).length, shards: cells.length,
    thin: cells.filter((cell) => cell.voters < cell.wanted).length, moving: cells.filter((cell) => cell.op !== '').length,
    lag: Math.max(0, ...cells.map((cell) => cell.lag)), spool: nodes.reduce((sum, node) => sum + node.spool_bytes, 0),
    rate: status.shards.reduce((sum, shard) => sum + shard.rate, 0),
  };
}

export type NodeOrder = 'drain' | 'undrain' | 'remove';

/** What may be ordered of a node. */
export function ordersFor(node: Pick<ClusterNode, 'state'>): NodeOrder[] {
  switch (node.state) {
    case 'active': return ['drain'];
    case 'draining': return ['undrain', 'remove'];
    case 'dead': return ['undrain', 'remove'];
    default: return [];
  }
}
