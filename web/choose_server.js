// What a server's answer means to the page of A or B, in ComfyUI's node and in `videoalign choose`.

const MAY_PASS = [408, 429]; // too slow, too many: the same request may be answered later

/**
 * The JSON of an answer.
 * @param {Response} response
 * @throws {Error} what the server says is wrong, `told`; with `refused` set where sending the same again is no use.
 */
export async function answerOf(response) {
  const answer = await response.json();
  if (response.ok) return answer;
  const refused = response.status >= 400 && response.status < 500 && !MAY_PASS.includes(response.status);
  throw Object.assign(new Error(answer.error ?? `The server answered ${response.status}.`), { refused, told: Boolean(answer.error) });
}
