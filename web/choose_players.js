// The clips of the pairs that come next, fetched before they are shown.
import { twoClips } from "./two_clips.js";

/**
 * @param {function(string, string): string} clip address of clip "A" or "B" of a pair.
 * @param {function(string): void} changed called with a pair whose clips start, stop, or have got a shape.
 * @returns {{of: function(string): object, get: function(string): object|undefined, only: function(string[]): void,
 *   failed: function(string, Error): Promise<string>}}
 *   of: a pair's two clips, which are fetched from now on. get: the same, if they are being fetched. only: have these, and give
 *   all others' memory back. failed: why a pair's clips cannot be played; they are fetched anew when they are next asked for.
 */
export function clipPlayers(clip, changed) {
  const players = new Map();

  function of(pair) {
    if (!players.has(pair)) players.set(pair, twoClips(clip(pair, "A"), clip(pair, "B"), () => changed(pair)));
    return players.get(pair);
  }

  function only(pairs) {
    pairs.forEach(of);
    for (const [pair, player] of players) {
      if (pairs.includes(pair)) continue;
      players.delete(pair);
      player.close();
    }
  }

  async function failed(pair, error) {
    // The player does not know why; the server may.
    const answer = await fetch(clip(pair, "A")).catch(() => null);
    const other = answer?.ok ? await fetch(clip(pair, "B")).catch(() => null) : answer;
    const told = other && !other.ok ? (await other.json().catch(() => ({}))).error : null;
    players.delete(pair);
    return told ?? error.message;
  }
  return { of, get: (pair) => players.get(pair), only, failed };
}
