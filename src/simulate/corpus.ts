/**
 * What simulated answers are made of: passages written for this project. Together they hold what a stream must survive: several
 * scripts, combined characters, emoji, quotes, backslashes, line breaks, code and tables.
 */

/** Opens every answer that is made up: nobody shall mistake it for a model's. */
export const DISCLOSURE = 'This is a simulated answer.';

export const passages: readonly string[] = [
  'A millrace is a narrow channel that leads water from a river to a wheel. Its whole art is to lose nothing on the way.',
  'The gate at the head of the race decides how much may enter. Open it too far and the banks give way; open it too little and the stones stand still.',
  'Water that has passed the wheel is called the tailrace. It must leave as fast as it came, or it backs up and drowns the wheel it has just turned.',
  'An overshot wheel is filled from above. Each bucket carries its share down, so the weight does the work and the speed hardly matters.',
  'An undershot wheel dips into the current and lives from speed alone. It is the simplest wheel, and it wastes two thirds of what the river offers.',
  'The miller listens more than he looks. A dry bearing sings, a loose cog knocks, and a stone that runs empty growls before it sparks.',
  'Grain falls from the hopper through the shoe, and a rattling rod shakes out as much as the stone can take: the faster it turns, the more it is fed. That is back-pressure, carved in oak.',
  'Two millstones never touch. Between them stays the thickness of a sheet of paper at the rim and of a coin at the eye.',
  'When the river freezes, the mill does not stop at once. First the buckets grow heavy on one side, then the wheel limps, and then somebody has to climb down with an axe.',
  'Good channels are boring. They slope by a hand’s breadth over a hundred paces, they have no corners, and nothing grows in them.',
  'A weir raises the river by just enough to fill the race. What the mill cannot use goes over the crest, and the fish have their own stairs.',
  'Every joint leaks a little. The question is never whether, but whether you can see where.',
  'Measure the head, the fall from race to tail; measure the flow; multiply. What the wheel gives you is less, and the difference is your education.',
  'Eine Mühle klappert nur, wenn sie leer läuft: Das Geräusch ist keine Arbeit, sondern ihr Fehlen. Größe, Gefälle und Übermut gehören geprüft.',
  'Le bief amène l’eau jusqu’à la roue ; la vanne la retient. À l’étiage, on attend, on répare, on raconte.',
  'El molino espera al río, y el río no espera a nadie. ¿Quién abre la compuerta? ¡El que madruga!',
  '水車は川の流れを受けて静かに回る。水が多すぎれば止め、少なければ待つ。急がないことが、いちばん速い。',
  '水磨利用水流的力量推动石磨。渠道要直，闸门要稳，磨盘之间只留一张纸的距离。',
  '물레방아는 물의 무게로 돈다. 물길이 막히면 먼저 소리가 달라진다.',
  'Вода не спорит с колесом: она толкает его или обходит стороной. Мельник решает, что из двух случится сегодня.',
  'طاحونة الماء تدور ما دام النهر يجري، والقناة الجيدة لا تضيع قطرة.',
  'पनचक्की धीरे घूमती है, पर रात भर घूमती है।',
  'Three signs for the gatekeeper: 🌊 open, 🧊 wait, 🛠️ closed for repair. Visitors like 👩🏽‍🔧 and 👨‍👩‍👧‍👦 are welcome on Sundays 🏳️‍🌈.',
  'Combining marks travel in pairs: e\u0301 is not é to a careless scissor, and n\u0303o is not ño. Cut between them and the letter loses its hat.',
  'The old sign said: "No entry — not even \'just for a moment\'." Someone had added a backslash \\ and nobody knew why.',
  'Checklist before opening the gate:\n\n1. The trash rack is clean.\n2. Nobody stands in the wheel pit.\n3. The brake is off.\n4. Somebody else has checked 1 to 3.',
  '| part | wears out after | gives warning |\n|---|---|---|\n| bearing | ten years | sings |\n| bucket | four years | drips |\n| rope | one winter | no |',
  'A gate that reacts to the level needs no clock:\n\n```js\nconst gate = { open: 0.5 };\nfunction level(cm) {\n  // Half a percent per centimetre, never past the stops.\n  gate.open = Math.min(1, Math.max(0, gate.open + (cm - 120) * 0.005));\n}\n```\n\nIt still needs somebody who reads it.',
  'The flow over a sharp weir grows with the height to the power of three halves, Q = ⅔·μ·b·√(2g)·h^{3/2}, which is why a small flood is never small.',
  'Write the smallest drawing that shows the mistake:\n\n    river ──▶ rack ──▶ gate ──▶ race ──▶ wheel\n                          └──▶ spillway (closed!)\n\nThe spillway was closed.',
  'JSON has no comments, and so mills are configured in prose: {"gate": "half", "stones": [1, 2], "note": "tab\\there, slash/there"}.',
  'An engineer inherits a mill, replaces the wheel by a turbine, the stones by rollers and the miller by a timer. The river does not notice. The mice do.',
  'A pool upstream of the wheel is a loan: it lets you grind faster than the river runs, for a while, and it always wants to be paid back at night.',
  'If two mills share one race, the lower one pays for every whim of the upper. Fairness is a notch of agreed width, cut in stone where both can see it.',
  'Ice, leaves, a drowned boot: what stops a mill is never what the drawings show. Build the rack so that one person can clear it in the dark.',
  'The bell over the hopper rings when the grain runs out. It hangs on a strap that the grain holds taut: no grain, no tension, and gravity does the signalling.',
  'A wheel that starts under load needs twice the water. So lift the stone, let the wheel run free, and lower the stone once everything turns.',
  'Half of maintenance is to write down what was normal: how loud, how warm, how often. The other half is to read it before the flood.',
  'There are mills that run on the tide, six hours out of twelve, and their millers sleep by the almanac. They drop no request; they only answer it later.',
  'When nothing moves and nothing is broken, look at the far end. A full tailrace stops a wheel as surely as an empty race.',
  'Numbers the carpenter keeps on the door: 8 buckets, 3.2 m across, 11 turns a minute, 0.4 m³/s, 62 %. Under them, smaller: “since 1894, minus the fire.”',
  'In the end the stone does one thing: it makes large grains small, evenly, all day. Everything around it is there so that it never has to know about the river.',
];

/** Thoughts in front of an answer, for requests that ask for reasoning. */
export const thoughts: readonly string[] = [
  'First, what is asked: something about water, most likely.',
  'The head and the flow are known, so the power follows; the losses do not.',
  'It could be the gate. It could also be the rack, and the rack is cheaper to look at.',
  'If the tailrace were full, the wheel would stop whatever the gate does.',
  'Check the units: litres per second, not per minute. 🤔',
  'No contradiction so far, so the plain answer will do.',
];
