// Asking the gateway: every failure becomes one line for people, with what can be done about it.

export class Refused extends Error {
  constructor(message, status, content) {
    super(message);
    Object.assign(this, { status, content });
  }
}

const token = () => document.querySelector("meta[name=csrf]")?.content ?? "";

export async function ask(address, { body, signal } = {}) {
  const posted = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-CSRF-Token": token() } };
  let response;
  try {
    response = await fetch(address, { signal, ...(body === undefined ? {} : posted) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The gateway does not answer. Is this machine connected?", 0);
  }
  const content = await response.json().catch(() => null);
  if (response.ok && content) return { content, status: response.status, headers: response.headers };
  throw new Refused(reason(response, content), response.status, content);
}

function reason(response, content) {
  if (response.status === 401) return "Your session has ended. Load this page again to log in.";
  if (response.status === 429) return `Too many requests; try again in ${response.headers.get("Retry-After") ?? "a few"} s.`;
  return content?.error?.message ?? `The gateway answered with ${response.status} ${response.statusText}`;
}
