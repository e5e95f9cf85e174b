# ruff: noqa: SIM905 - word lists read better as text
"""Random English sentences with a broad mix of sounds, for making training speech."""

from __future__ import annotations

import numpy as np

_NAMES = """Mama Papa Paul Mary Bob Vivian Thomas Theodore Julia George Charlotte Hugo Olive Peter Fiona Victor Maya
Walter Yusuf Zoe Ruby Philip Beth Judith Kathy Boris Pamela Oscar Ingrid Naomi""".split()
_PEOPLE = """father mother baby neighbour teacher pilot farmer painter baker nurse judge captain child singer cousin
waiter lawyer doctor widow driver poet monk queen thief boy girl brother grandmother manager shepherd""".split()
_THINGS = """bamboo paper bubble map piano boat apple pepper beam moon lamp bottle puppet ribbon table mirror river
garden wolf window wheel whale bowl bone rope road pool spoon book foot bush voice oyster coin toy boil house mouth
cloud tower flower fire wire tire chair square bear hair ear beard year tour cure feather leather breath thumb bath
path cloth thought church cheese cherry bridge jungle badge orange measure treasure garage beige vision shadow shoe
fish brush fox vase glove wave leaf knife coffee village velvet fifth tooth theatre sugar yellow kayak onion thunder
garlic kettle candle package melon salad sandwich umbrella elephant giraffe zebra mosque harbour chimney blanket
violin trumpet pocket hammer ladder basket bicycle telescope calendar photograph magazine library factory
valley""".split()
_VERBS = """saw found heard moved bought built bathed fed pushed pulled watched washed chewed threw caught brought
taught followed loved valued believed measured changed judged shook shared poured opened buried burned borrowed mailed
weighed wrapped mopped robbed grabbed helped hugged drew knew view showed owned allowed announced avoided enjoyed
destroyed surprised praised carried covered discovered""".split()
_ADJECTIVES = """big small purple blue yellow warm cool thick thin smooth rough old new weird happy heavy fair poor
pure loud cheap huge foolish famous very-beautiful brave awful early ugly quiet wooden empty shiny royal moist round
brown white wide wild calm dark far short long wrong strong young bitter foggy woollen marvellous usual other""".split()
_ADVERBS = """today tomorrow slowly quickly always never usually loudly before-breakfast at-home in-the-morning
after-school by-the-river over-there every-Thursday all-the-time twice without-a-word for-a-while abroad nowadays
once-more above-the-village under-the-bridge with-both-hands in-February somehow rather-well""".split()
_OPENERS = """well, however, perhaps maybe suddenly, of-course, for-example, oh, wow, believe-me, by-the-way, above-all,
in-my-view, yes, no, thank-you, excuse-me, obviously,""".split()
_ARTICLES = ("the", "a", "my", "our", "this", "your", "every")
_DEGREES = ("more", "less", "not so", "always", "almost")
_QUESTIONS = ("where is", "why was", "who moved", "how about", "could you show me", "have you found")
_ORDERS = ("give me", "bring us", "move", "watch", "please open", "put down", "follow", "show him")
_SAYINGS = (
    "How are you?",
    "What a wonderful view!",
    "Why would we wait?",
    "Who are you talking to?",
    "I don't believe a word of it.",
    "Please move over, it's very warm in here.",
    "We were away a year ago.",
    "She sells sea shells by the sea shore.",
    "Five wives gave various favours.",
    "Both brothers breathe through their mouths.",
    "You should choose a good blue moon.",
    "Bob may buy a map of Bombay.",
    "Joy enjoys noisy toys.",
    "Now the brown cow is out of town.",
    "Go home alone, don't phone.",
    "My bike might fly by at night.",
    "Peter Piper picked a peck of pickled peppers.",
    "Papa put my baby's bib above the pumpkin.",
    "I owe you an hour.",
    "Are our arms hard as armour?",
)


def random_sentence(seed: int) -> str:
    """One sentence of some 3 to 15 words; the same seed gives the same sentence."""
    rng = np.random.default_rng((seed, 4))

    def one(words) -> str:
        return str(words[int(rng.integers(len(words)))]).replace("-", " ")

    def thing() -> str:
        adjective = one(_ADJECTIVES) + " " if rng.random() < 0.5 else ""
        return f"{one(_ARTICLES)} {adjective}{one(_THINGS)}"

    def things() -> str:
        return f"{_number(rng)} {one(_ADJECTIVES)} {one(_THINGS)}s"

    def person() -> str:
        return one(_NAMES) if rng.random() < 0.4 else f"{one(('the', 'my', 'your', 'our', 'that'))} {one(_PEOPLE)}"

    def target() -> str:
        return things() if rng.random() < 0.25 else thing()

    kind = rng.random()
    if kind < 0.12:
        return one(_SAYINGS)
    if kind < 0.45:
        text = f"{person()} {one(_VERBS)} {target()} {one(_ADVERBS)}"
    elif kind < 0.60:
        text = f"{thing()} is {one(_DEGREES)} {one(_ADJECTIVES)}, but {thing()} was {one(_ADJECTIVES)}"
    elif kind < 0.72:
        text = f"{person()} and {person()} {one(_VERBS)} {target()}"
    elif kind < 0.82:
        text = f"{one(_QUESTIONS)} {thing()}"
        return f"{text[0].upper()}{text[1:]}?"
    elif kind < 0.91:
        text = f"{one(_ORDERS)} {thing()} {one(_ADVERBS)}"
    else:
        text = (
            f"{one(('count', 'page', 'room', 'number', 'at about'))} {_number(rng)}, {_number(rng)} and {_number(rng)}"
        )
    if rng.random() < 0.25:
        text = f"{one(_OPENERS)} {text}"
    return f"{text[0].upper()}{text[1:]}."


def _number(rng: np.random.Generator) -> str:
    return str(int(rng.integers(2, (10, 100, 1000, 10000)[int(rng.integers(4))])))
