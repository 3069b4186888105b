// Choose A or B inside its node: the page asks the server for the pairs of the folder that the node's widgets name.
import { api } from "../../scripts/api.js";
import { answerOf } from "./choose_server.js";
import { chooseView } from "./choose_view.js";
import { chain } from "./kept_results.js";

const ROUTE = "/videoalign/choices";
const LEAST_WIDTH = 640;

/** Put the page into the node's panel. */
export function attachChoices(node, panel) {
  const value = (name) => String(node.widgets?.find((one) => one.name === name)?.value ?? "");
  const place = () => ({ folder: value("folder"), chooser: value("chooser").trim() });

  async function ask(action, values) {
    const response = await api.fetchApi(`${ROUTE}/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...place(), ...values }),
    });
    return answerOf(response);
  }
  const clip = (pair, side) => api.apiURL(`${ROUTE}/clip?${new URLSearchParams({ ...place(), pair, side })}`);

  const view = chooseView(
    { ask, clip },
    {
      empty: "No clips to choose between yet. Connect two clips or a batch, and run the graph: the pairs appear here. Or name a folder of an earlier run.",
      more: "More pairs: run the graph again with other seeds or prompts, and they appear here.",
    },
  );
  panel.show([view.element]);
  if (node.size[0] < LEAST_WIDTH) node.setSize([LEAST_WIDTH, node.size[1]]);

  // A saved graph's values come after the node; a name that is being typed is not looked up letter by letter.
  let asked = JSON.stringify(place());
  let later = null;
  let wanted = false;
  const look = (anew) => {
    wanted ||= anew;
    clearTimeout(later);
    later = setTimeout(() => {
      const now = JSON.stringify(place());
      const other = now !== asked;
      if (wanted || other) view.refresh(other);
      asked = now;
      wanted = false;
    }, 300);
  };
  for (const name of ["folder", "chooser"]) {
    const widget = node.widgets?.find((one) => one.name === name);
    if (widget) chain(widget, "callback", () => look(false));
  }
  chain(node, "onConfigure", () => look(true));
  chain(node, "onRemoved", view.close);
  panel.onOutput("videoalign_choices", () => view.refresh());
  look(true);
}
