import OpenAI from "openai";
import { Charge, DeniedError, Model, Router, wrapOpenAI } from "costlens-policy";

const router = new Router({ url: "unix:/run/costlens-policy.sock", key: "clp_a_b" });

export async function processRequest(task: string, prompt: string): Promise<string> {
  const model: Model = await router.getOptimalModel({ task, prompt, costBudget: 0.01 });
  return `${model.name} ${model.prompt} ${model.fallbacks.map((other) => other.name).join()}`;
}

export async function settled(): Promise<Charge | null> {
  const reservation = await router.reserve({ task: "chat", prompt: "Hi" }, { id: "job-7", dialect: "anthropic" });
  return reservation.settle({ input_tokens: 1, output_tokens: 2 });
}

export async function wrapped(): Promise<string | null> {
  const openai = wrapOpenAI(new OpenAI(), router, { attributes: () => ({ team: "support" }) });
  try {
    const answer = await openai.chat.completions.create({ model: "x", messages: [{ role: "user", content: "Hi" }] });
    return answer.choices[0].message.content;
  } catch (error) {
    if (error instanceof DeniedError) return error.budget;
    throw error;
  }
}
