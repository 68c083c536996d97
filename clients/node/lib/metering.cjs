"use strict";

/*
 * An answer that settles its call when it has been read, by whatever: parsed, as a stream of events, or as bytes. One
 * that breaks off, is left, or is dropped unread is charged what is held: nobody knows what the provider has written.
 */

const CARRYING = ["object", "model", "service_tier", "usage", "tool_usage"];

const dropped = new FinalizationRegistry((call) => {
  call.settle().catch(() => {}); // the lease ends what cannot be settled
});

/** Return a response like the given one, whose body settles `call` at its end. */
function metered(response, call, hidesUsage) {
  const isStream = /event-stream/.test(response.headers.get("content-type") ?? "");
  const meter = isStream ? new EventMeter(hidesUsage) : new WholeMeter();
  const reader = response.body?.getReader() ?? { read: async () => ({ done: true }), cancel: async () => {} };
  const end = () => {
    dropped.unregister(body);
    return call.settle(meter.usage);
  };
  const body = new ReadableStream(
    {
      async pull(controller) {
        try {
          for (let shown = ""; shown.length === 0; ) {
            const { done, value } = await reader.read();
            await call.extend();
            shown = done ? meter.rest() : meter.see(value);
            if (shown.length > 0) controller.enqueue(shown);
            if (!done) continue;
            await end();
            return controller.close();
          }
        } catch (error) {
          await end();
          controller.error(error);
        }
      },
      async cancel(reason) {
        await reader.cancel(reason).catch(() => {}); // it has failed already
        await end();
      },
    },
    { highWaterMark: 0 },
  );
  dropped.register(body, call, body);
  const { status, statusText, headers, url } = response;
  return Object.defineProperty(new Response(body, { status, statusText, headers }), "url", { value: url });
}

/** The body of one JSON object. */
class WholeMeter {
  #parts = [];

  see(bytes) {
    this.#parts.push(bytes);
    return bytes;
  }

  rest() {
    return new Uint8Array();
  }

  get usage() {
    return reportOf(parsed(Buffer.concat(this.#parts).toString()));
  }
}

/** Server-sent events. The event with nothing but the usage is kept from who did not ask for it. */
class EventMeter {
  #decoder = new TextDecoder();
  #encoder = new TextEncoder();
  #text = "";

  constructor(hidesUsage) {
    this.hidesUsage = hidesUsage;
    this.usage = undefined;
  }

  see(bytes) {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    let shown = "";
    for (let end; (end = /\r\n\r\n|\n\n|\r\r/.exec(this.#text)) !== null; ) {
      const event = this.#text.slice(0, end.index + end[0].length);
      this.#text = this.#text.slice(event.length);
      if (this.#note(event)) shown += event;
    }
    return this.#encoder.encode(shown);
  }

  rest() {
    const last = this.#text + this.#decoder.decode();
    this.#text = "";
    return this.#encoder.encode(this.#note(last) ? last : "");
  }

  /** Note the usage of an event; return whether its reader is to see it. */
  #note(event) {
    const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data:"));
    const chunk = parsed(lines.map((line) => line.slice(5)).join("\n"));
    const found = reportOf(chunk);
    this.usage = found ?? this.usage;
    return !(this.hidesUsage && found !== undefined && chunk.choices?.length === 0);
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Return what of an answer, or of an event that has one in it, says what it cost; undefined where nothing does. */
function reportOf(value) {
  const answer = value?.usage ? value : value?.response;
  if (!answer?.usage) return undefined;
  return Object.fromEntries(CARRYING.filter((name) => answer[name] != null).map((name) => [name, answer[name]]));
}

module.exports = { metered };
