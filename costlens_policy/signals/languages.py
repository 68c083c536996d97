# ruff: noqa: RUF001 (letters of other scripts are meant)
"""The language of a text, by its script and by the words that every text of a language is full of.

A script that one language alone writes decides by itself. Of those that share a script, each is known by some of its
most frequent words and by letters that the others do not have. A dozen words are enough; of fewer, little is certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from costlens_policy.frozen import frozen
from costlens_policy.signals.terms import MOST_WORDS
from costlens_policy.signals.weighed import ABSENT, Weighed
from costlens_policy.signals.words import words_of

__all__ = ["LANGUAGES", "Language"]

_WORDS: Final[Mapping[str, str]] = {
    "en": "the of and to in is that it for was with as his on be at by this had not are but from or have an they "
    "which you were her all there would their we him been has when who will more if out so what please how "
    "can your my write",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus "
    "er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum aber oder bitte ich wir "
    "kann was mir",
    "fr": "de la le et les des en un une du dans que est pour qui par au il sur pas plus ne se ce avec sont aux "
    "cette mais ou elle nous vous je son ses être fait comme leur bien où sans peut tout merci quel comment "
    "ai",
    "es": "de la que el en y los se del las un por con no una su para es al lo como más pero sus le ya o este sí "
    "porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante cómo "
    "puedes qué",
    "it": "di che il la e un a per è in una sono non con si le da lo come ma dei nel più gli della ha anche del "
    "questo al alla io mi ti quando se delle essere molto perché cosa nella dal puoi sul loro ci",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua ou "
    "quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos seus você é são está",
    "nl": "de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar om hem dan zou "
    "of wat mijn men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft hebben "
    "deze kan worden",
    "sv": "och i att det som en på är av för med den till var inte om ett han men jag från de så ut har hon när upp "
    "ska kan vi mig sig man ni under också efter hur vad eller detta dem",
    "da": "og i at det en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham "
    "hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind "
    "når jeg",
    "no": "og i jeg det at en et den til er som på de med han av ikke der så var meg seg men ett har om vi min mitt "
    "ha hadde hun nå over da ved fra du ut sin dem oss opp man kan hans hvor eller hva skal selv sjøl her "
    "alle vil bli",
    "fi": "ja on ei se että en hän oli mutta kun ovat myös joka ole tai niin mitä sitä minä kuin jos vain mukaan "
    "voi tämä olen siitä sen hänen ne nyt olisi hyvin kaikki miten",
    "pl": "w i na z się nie do to że jest o jak a po za od ale przez dla są tym jego tak czy być może tego jej był "
    "ze tylko co już lub oraz przy ich przed ma które gdy proszę mnie",
    "cs": "a se v je na že to s z do o i ve jako za po k ale by si tak pro od jeho při nebo jsou byl být které jen "
    "když už která co jsem ze má jak podle prosím více není",
    "hu": "a az és hogy nem is egy ez volt csak de meg van mint már ha el még azt vagy ezt minden mi után lesz "
    "szerint kell aki ami több lehet két majd között kérem",
    "tr": "ve bir bu da de için ile olarak çok daha olan gibi en ne kadar sonra var her o mi ise değil ama ki "
    "olduğu ben diye ya veya nasıl lütfen mı mu şey bana",
    "ro": "de și în a la cu o pe un că este nu din se care pentru mai ce sau să au fost ca prin sunt fi dar după am "
    "lui când cum era ei acest această către te rog",
    "id": "yang dan di dengan untuk ini itu dari dalam tidak akan pada juga saya ke karena tersebut bisa ada mereka "
    "lebih kami sudah oleh atau telah anda apa adalah bagaimana kamu tolong",
    "vi": "là của và có không được cho các những một trong với người khi này để đã tôi từ như đến lại ra về cũng "
    "bạn thì nhiều hãy làm nào",
    "ru": "и в не на я что он с как это но его из у за к по она так же от для все бы мы вы ты был о до или мне было "
    "если нет когда только уже этого чтобы есть пожалуйста",
    "uk": "і в не на я що він з як це але його у за до по вона так для від все ми ви ти був або мені було якщо та й "
    "коли тільки вже цього щоб є будь ласка їх про",
    "bg": "и в не на да се за от е са по с че като това но ще той към или има го при които след във може само бъде "
    "няма моля как",
}
_LETTERS: Final[Mapping[str, str]] = {
    "de": "ß", "es": "ñ¿¡", "pt": "ãõ", "pl": "łęąśźż", "cs": "řěů", "hu": "őű", "tr": "ğıİ", "ro": "șţăț", "fr": "œ",
    "vi": "đơưạảấầậắặếềệịọộớờợụủứừự", "uk": "їєіґ", "ru": "ыэё", "bg": "ъ", "da": "ø", "no": "ø", "sv": "ä", "fi": "ä",
}  # fmt: skip
_SCRIPTS: Final[Mapping[str, str]] = {
    "ja": "\u3040-\u30ff", "ko": "\u1100-\u11ff\uac00-\ud7a3", "zh": "\u3400-\u4dbf\u4e00-\u9fff",
    "ar": "\u0600-\u06ff", "he": "\u0590-\u05ff", "el": "\u0370-\u03ff", "th": "\u0e00-\u0e7f", "hi": "\u0900-\u097f",
}  # fmt: skip
"""Scripts that we take for one language each, though Persian, Urdu or Marathi, too, are written in one of them."""

LANGUAGES: Final = (*_WORDS, *_SCRIPTS)
"""The languages that are known, by ISO 639-1."""

_KANA: Final = 0.1
"""Japanese has Chinese characters, too; beside this share of its own, all of them are Japanese."""
_MOSTLY: Final = 0.3
_OTHER_SCRIPTS: Final = re.compile("[" + "".join(_SCRIPTS.values()) + "]")
_EACH_SCRIPT: Final = {name: re.compile(f"[{letters}]") for name, letters in _SCRIPTS.items()}
_SPECIAL: Final = re.compile("[" + "".join(sorted(set("".join(_LETTERS.values())))) + "]")
_OF_LETTER: Final = {
    letter: tuple(name for name, letters in _LETTERS.items() if letter in letters)
    for letter in set("".join(_LETTERS.values()))
}
_OF_WORD: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(name for name, words in _WORDS.items() if word in words.split())
    for words in _WORDS.values()
    for word in words.split()
}
_LETTER_WEIGHT: Final = 0.5
_MOST_LETTERS: Final = 4
"""How many special letters count: a foreign name must not decide."""
_ENOUGH: Final = 2.0
"""Evidence at which the confidence is half of what much evidence would make it."""


@frozen
class Language:
    """The language of a text, if it is one of ``labels``.

    The confidence is the share of the evidence that speaks for it, times how much evidence there is.
    """

    labels: tuple[str, ...]

    def prepared(self) -> Callable[[str], Weighed]:
        """Return what weighs a text."""
        known = frozenset(self.labels)

        def weigh(text: str) -> Weighed:
            found = _by_script(text) or _by_words(text)
            return found if found.value in known else ABSENT

        return weigh


def _by_script(text: str) -> Weighed | None:
    """Return the language whose script most letters are of; None where they are Latin or Cyrillic."""
    letters = _OTHER_SCRIPTS.findall(text)
    written = sum(map(str.isalpha, text)) if letters else 0
    if not written or len(letters) < _MOSTLY * written:
        return None
    counts = {name: len(script.findall(text)) for name, script in _EACH_SCRIPT.items()}
    if counts["ja"] > _KANA * counts["zh"]:
        counts["ja"] += counts.pop("zh")
    best = max(counts, key=counts.__getitem__)
    return Weighed(best, min(counts[best] / written, 1.0))


def _by_words(text: str) -> Weighed:
    scores: dict[str, float] = {}
    seen: dict[str, float] = {}
    lowered = text.lower()
    for word in words_of(lowered):
        if names := _OF_WORD.get(word):
            seen[word] = seen.get(word, 0.0) + 1.0
            for name in names:
                scores[name] = scores.get(name, 0.0) + 1.0 / len(names)
    for letter in _SPECIAL.findall(lowered)[:_MOST_LETTERS]:
        for name in _OF_LETTER[letter]:
            scores[name] = scores.get(name, 0.0) + _LETTER_WEIGHT
    if not scores:
        return ABSENT
    best = max(scores, key=scores.__getitem__)
    evidence = sum(scores.values())
    words = sorted((item for item in seen.items() if best in _OF_WORD[item[0]]), key=lambda item: -item[1])
    return Weighed(best, scores[best] / evidence * evidence / (evidence + _ENOUGH), tuple(words[:MOST_WORDS]))
