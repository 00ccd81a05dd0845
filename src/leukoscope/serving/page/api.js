// The server: asked again when it is busy, and for a token where it wants one.

let token = sessionStorage.getItem("token");

export class Problem extends Error {}

/** Ask the server; `body` is a form or, for JSON, an object. Throws `Problem` with words for a person. */
export async function ask(path, { body, signal } = {}) {
  const json = body && !(body instanceof FormData);
  for (;;) {
    const headers = json ? { "Content-Type": "application/json" } : {};
    if (token) headers.Authorization = `Bearer ${token}`;
    let answer;
    try {
      answer = await fetch(path, { method: body ? "POST" : "GET", headers, signal, body: json ? JSON.stringify(body) : body });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("The server cannot be reached.");
    }
    if (answer.ok) return answer.json();
    if (answer.status === 401) await newToken();
    else if (answer.status === 503) await pause(1000 * (Number(answer.headers.get("Retry-After")) || 2), signal);
    else throw new Problem(await reason(answer));
  }
}

async function reason(answer) {
  try {
    const { detail } = await answer.json();
    return typeof detail === "string" ? detail : detail.map((fault) => fault.msg).join("; ");
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

let asking;

/** Let the person give a token, once for all requests that wait for it. */
function newToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token");
    const input = document.getElementById("token-value");
    input.value = "";
    dialog.addEventListener("close", () => {
      token = input.value.trim();
      sessionStorage.setItem("token", token);
      asking = undefined;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
