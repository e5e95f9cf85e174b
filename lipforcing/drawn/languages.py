# ruff: noqa: RUF001, SIM905 - word lists read better as text, and are not of Latin letters alone
"""Languages of the training speech: voices, everyday words, and phonemes as the lips show them.

English is spoken by accents and voices of its own; no voice here is one of ``speech.VOICES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .sentences import random_sentence
from .visemes import is_pause

__all__ = ["ENGLISH", "LANGUAGES", "Language"]

_VARIANTS = """m8 f5 Alex Alicia Andrea Andy Annie Lee Michael Mike adam anika belinda benjamin boris caleb david ed
edward gustave iven john linda max norbert paul pedro quincy rob robert sandro steph travis victor zac""".split()


@dataclass(frozen=True)
class Language:
    """A language of espeak-ng.

    Attributes:
        name: of the language, ISO 639-1.
        accents: espeak-ng's names of its voices.
        words: everyday words; none for English, which has whole sentences.
        own: phonemes that look otherwise than those of the same name in other languages.
    """

    name: str
    accents: tuple[str, ...]
    words: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def voices(self) -> tuple[str, ...]:
        """Voice names, accent and speaker."""
        return tuple(f"{accent}+{variant}" for accent in self.accents for variant in _VARIANTS)

    def sentence(self, seed: int) -> str:
        """A sentence of English, or three to eight words of another language; the same seed gives the same one."""
        if not self.words:
            return random_sentence(seed)
        rng = np.random.default_rng((seed, 6))
        words = [self.words[int(i)] for i in rng.integers(len(self.words), size=int(rng.integers(3, 9)))]
        if len(words) > 4 and rng.random() < 0.4:
            words[2] += ","
        return " ".join(words) + ("?" if rng.random() < 0.2 else ".")

    def as_english(self, symbol: str) -> str:
        """A phoneme as an English one, or as the visemes' name of it; pauses stay what they are.

        Raises:
            KeyError: nothing is known of it.
        """
        if not self.words:
            return symbol
        known = {**_LIKE, **self.own}
        name = symbol
        while name:
            if name in known:
                return known[name]
            if is_pause(name):
                return symbol
            name = name[:-1]  # a mark of length, palatality, nasality, place or variant
        raise KeyError(symbol)


def _language(name: str, accents: str, words: str = "", **own: str) -> Language:
    return Language(name, tuple(accents.split()), tuple(words.split()), own)


# espeak-ng's phonemes of other languages, by the English one that looks like them, or by a name that visemes have for
# them.
_LIKE = {
    **{name: name for name in (
        "p b m f v T D s z S Z tS dZ t d n l L k g N ? h j ; w A a V E e I i @ 3 O o 0 U u aI aU eI oU OI i@ e@ U@"
    ).split()},
    "r": "rr", "R": "rr", "*": "rr", "B": "bb", "w/": "w", "_j": "j", "C": "j", "J^": "j", "p\\": "bb",
    "c": "t", "J": "d", "q": "k", "x": "k", "X": "k", "H": "k", "Q": "k", "G": "k", "#X": "h",
    "s.": "S", "z.": "Z", "sx": "S", "ss": "s", "pF": "p", "ts": "ts", "dz": "dz", "t_s": "ts", "d_z": "dz",
    "y": "y", "Y": "Y", "8": "Y", "W": "Y", "OY": "OI", "&": "V", "&U": "VU", "yU": "yU",
    "UR": "U@", "iR": "i@", "oI": "oI", "uI": "uI", "EI": "EI", "EU": "EU", "eU": "eU", "iU": "iU", "ja": "ja",
    "ju": "ju", "ai": "aI", "Au": "aU", "ei": "eI", "iA": "ia", "iAu": "iaU", "iE": "iE", "io": "io", "iou": "ioU",
    "ou": "oU", "ong": "o", "uA": "ua", "ua": "ua", "uai": "uaI", "u@": "u@", "uei": "ueI", "uo": "uo", "yu": "yU",
    "yE": "yE", "y@": "y@", "yi": "yi",
}  # fmt: skip


ENGLISH = _language("en", "en-us en en-gb-scotland en-us-nyc en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-029")
LANGUAGES = (
    ENGLISH,
    _language(
        "es",
        "es es-419",
        """hombre mujer padre madre niño niña amigo familia casa puerta ventana mesa libro papel agua pan vino
        manzana pescado carne mundo tiempo día noche mañana tarde semana invierno verano lluvia viento fuego
        tierra montaña río ciudad pueblo calle coche tren barco perro gato caballo pájaro árbol flor blanco
        negro rojo azul verde grande pequeño bueno malo nuevo viejo feliz rápido comer beber hablar vivir
        trabajar escribir buscar llegar abrir siempre nunca también porque donde cuando ocho nueve cien mil""",
        y="j",
    ),
    _language(
        "fr",
        "fr fr-be fr-ch",
        """homme femme père mère enfant ami famille maison porte fenêtre table livre papier eau pain vin pomme
        poisson viande monde temps jour nuit matin soir semaine hiver été pluie vent feu terre montagne rivière
        ville village rue voiture train bateau chien chat cheval oiseau arbre fleur blanc noir rouge bleu vert
        grand petit bon mauvais nouveau vieux heureux rapide manger boire parler vivre travailler écrire
        chercher arriver ouvrir toujours jamais aussi pourquoi beaucoup lundi huit neuf vingt mille un peu plus
        musique feuille""",
        r="k",
    ),
    _language(
        "de",
        "de",
        """Mann Frau Vater Mutter Kind Freund Familie Haus Tür Fenster Tisch Buch Papier Wasser Brot Wein Apfel
        Fisch Fleisch Welt Zeit Tag Nacht Morgen Abend Woche Winter Sommer Regen Wind Feuer Erde Berg Fluss
        Stadt Dorf Straße Auto Zug Schiff Hund Katze Pferd Vogel Baum Blume weiß schwarz rot blau grün groß
        klein gut schlecht neu alt glücklich schnell essen trinken sprechen leben arbeiten schreiben suchen
        kommen öffnen immer niemals auch warum zwölf Bäume böse hübsch Pfeffer ich mache""",
        r="k",
    ),
    _language(
        "it",
        "it",
        """uomo donna padre madre bambino amico famiglia casa porta finestra tavola libro carta acqua pane vino
        mela pesce carne mondo tempo giorno notte mattina sera settimana inverno estate pioggia vento fuoco
        terra montagna fiume città paese strada macchina treno barca cane gatto cavallo uccello albero fiore
        bianco nero rosso azzurro verde grande piccolo buono cattivo nuovo vecchio felice veloce mangiare bere
        parlare vivere lavorare scrivere cercare arrivare aprire sempre mai anche perché dove quando otto cento
        mille ragazza zio gnocchi""",
        y="j",
    ),
    _language(
        "pt",
        "pt-br pt",
        """homem mulher pai mãe criança amigo família casa porta janela mesa livro papel água pão vinho maçã
        peixe carne mundo tempo dia noite manhã tarde semana inverno verão chuva vento fogo terra montanha rio
        cidade aldeia rua carro trem barco cachorro gato cavalo pássaro árvore flor branco preto vermelho azul
        verde grande pequeno bom mau novo velho feliz rápido comer beber falar viver trabalhar escrever procurar
        chegar abrir sempre nunca também porque onde quando oito cem mil muito coração""",
        y="j",
    ),
    _language(
        "ru",
        "ru",
        """мужчина женщина отец мать ребёнок друг семья дом дверь окно стол книга бумага вода хлеб вино яблоко
        рыба мясо мир время день ночь утро вечер неделя зима лето дождь ветер огонь земля гора река город
        деревня улица машина поезд корабль собака кошка лошадь птица дерево цветок белый чёрный красный синий
        зелёный большой маленький хороший плохой новый старый быстро есть пить говорить жить работать писать
        искать прийти открыть всегда никогда тоже почему где когда восемь сто тысяча любовь пять мяч""",
        y="I",
    ),
    _language(
        "pl",
        "pl",
        """mężczyzna kobieta ojciec matka dziecko przyjaciel rodzina dom drzwi okno stół książka papier woda
        chleb wino jabłko ryba mięso świat czas dzień noc poranek wieczór tydzień zima lato deszcz wiatr ogień
        ziemia góra rzeka miasto wieś ulica samochód pociąg statek pies kot koń ptak drzewo kwiat biały czarny
        czerwony niebieski zielony duży mały dobry zły nowy stary szybko jeść pić mówić żyć pracować pisać
        szukać przyjść otwierać zawsze nigdy też dlaczego gdzie kiedy osiem sto tysiąc pięć""",
        y="I",
    ),
    _language(
        "tr",
        "tr",
        """adam kadın baba anne çocuk arkadaş aile ev kapı pencere masa kitap kağıt su ekmek şarap elma balık et
        dünya zaman gün gece sabah akşam hafta kış yaz yağmur rüzgar ateş toprak dağ nehir şehir köy sokak araba
        tren gemi köpek kedi at kuş ağaç çiçek beyaz siyah kırmızı mavi yeşil büyük küçük iyi kötü yeni eski
        mutlu hızlı yemek içmek konuşmak yaşamak çalışmak yazmak aramak gelmek açmak her zaman asla neden nerede
        sekiz yüz bin göz gömlek üzüm""",
    ),
    _language(
        "hi",
        "hi",
        """आदमी औरत पिता माता बच्चा दोस्त परिवार घर दरवाज़ा खिड़की मेज़ किताब काग़ज़ पानी रोटी सेब मछली दुनिया
        समय दिन रात सुबह शाम हफ़्ता सर्दी गर्मी बारिश हवा आग ज़मीन पहाड़ नदी शहर गाँव सड़क गाड़ी रेल नाव कुत्ता
        बिल्ली घोड़ा चिड़िया पेड़ फूल सफ़ेद काला लाल नीला हरा बड़ा छोटा अच्छा बुरा नया पुराना खुश तेज़ खाना पीना
        बोलना रहना काम लिखना खोजना आना खोलना हमेशा कभी भी क्यों कहाँ कब आठ सौ हज़ार भाई बहन मौसम""",
    ),
    _language(
        "zh",
        "cmn-latn-pinyin",
        """nan2ren2 nv3ren2 fu4qin1 mu3qin1 hai2zi5 peng2you3 jia1ting2 fang2zi5 men2 chuang1hu4 zhuo1zi5 shu1
        zhi3 shui3 mian4bao1 ping2guo3 yu2 rou4 shi4jie4 shi2jian1 bai2tian1 ye4wan3 zao3shang4 xing1qi1
        dong1tian1 xia4tian1 yu3 feng1 huo3 tu3di4 shan1 he2 cheng2shi4 cun1zi5 jie1dao4 qi4che1 huo3che1 chuan2
        gou3 mao1 ma3 niao3 shu4 hua1 bai2 hei1 hong2 lan2 lv4 da4 xiao3 hao3 huai4 xin1 lao3 kuai4le4 kuai4
        chi1 he1 shuo1 zhu4 gong1zuo4 xie3 zhao3 lai2 kai1 yong3yuan3 ye3 wei4shen2me5 na3li3 ba1 bai3 qian1
        ma1ma5 ba4ba5""",
    ),
    _language(
        "ja",
        "ja",
        """おとこ おんな ちち はは こども ともだち かぞく いえ どあ まど つくえ ほん かみ みず ぱん りんご
        さかな にく せかい じかん ひる よる あさ ゆうがた しゅうかん ふゆ なつ あめ かぜ ひ つち やま かわ まち
        むら みち くるま でんしゃ ふね いぬ ねこ うま とり き はな しろ くろ あか あお みどり おおきい ちいさい
        いい わるい あたらしい ふるい うれしい はやい たべる のむ はなす すむ はたらく かく さがす くる あける
        いつも ぜんぶ なぜ どこ いつ はち ひゃく せん ぼうし びょういん""",
    ),
)
