"""Severities of gcc's messages in the languages that gcc is translated to.

The words are those of the message catalogues of gcc 12: https://gcc.gnu.org/git/?p=gcc.git;a=tree;f=gcc/po
"""

from __future__ import annotations

import re

_WORDS = {
    "warning": (
        "Warnung, attention, aviso, varning, varoitus, advarsel, upozorenje, peringatan, let op, UYARI, cảnh báo, "
        "предупреждение, попередження, упозорење, προειδοποίηση, 警告"
    ),
    "error": (
        "Fehler, erreur, erro, fel, virhe, fejl, greška, fout, hata, lỗi, ошибка, помилка, грешка, σφάλμα, エラー, "
        "错误, 錯誤"
    ),
    "fatal error": (
        "schwerwiegender Fehler, erreur fatale, error fatal, ödesdigert fel, vakava virhe, fatal fejl, fatalna greška, "
        "fatale fout, ölümcül hata, lỗi nghiêm trọng, фатальная ошибка, критична помилка, кобна грешка, "
        "μοιραίο σφάλμα, 致命的エラー, 致命错误, 嚴重錯誤"
    ),
    "internal compiler error": (
        "interner Compiler-Fehler, erreur interne du compilateur, error interno del compilador, internt kompilatorfel, "
        "kääntäjän sisäinen virhe, intern oversætterfejl, interne compilerfout, внутренняя ошибка компилятора, "
        "внутрішня помилка компілятора, コンパイラ内部エラー, 编译器内部错误, 編譯器內部錯誤"
    ),
}
_ENGLISH = {f": {word}": f": {severity}" for severity, words in _WORDS.items() for word in words.split(", ")}
#: A colon follows, in French after a space, in Chinese a wide one without a space.
_SEVERITY = re.compile(rf"({'|'.join(map(re.escape, _ENGLISH))})[ \xa0]?(?:: ?|\uff1a)")


def in_english(text: str) -> str:
    """``text`` with English severities."""
    return _SEVERITY.sub(lambda found: f"{_ENGLISH[found[1]]}: ", text)
