/** A route of your own: asks the model twice, and streams both answers as they come. Runs in every worker. */
import { defineRoute } from 'millrace/modules';

export default defineRoute(async function* ({ json, text }, { upstream, session }) {
  const question = json?.question ?? text;
  const turns = (session.state.get('turns') ?? 0) + 1;
  session.state.set('turns', turns);

  let draft = '';
  yield { stage: 'draft', turns };
  for await (const piece of upstream.stream({ messages: question }).text()) {
    draft += piece;
    yield { piece };
  }

  yield { stage: 'title' };
  const messages = [
    { role: 'system', content: 'Answer with a title of at most five words.' },
    { role: 'user', content: draft },
  ];
  for await (const part of upstream.stream({ messages })) {
    if (part.type === 'text') yield { piece: part.text };
    if (part.type === 'finish') yield { done: true, upstream: part.upstream };
  }
});
