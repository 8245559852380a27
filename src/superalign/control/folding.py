"""The texts that a program puts together from constants, found without running it."""

from __future__ import annotations

import ast
import codecs
import re

_LONGEST = 10_000
_METHODS = frozenset({"lower", "upper", "strip", "casefold", "title", "swapcase", "replace", "decode", "encode"})


def folded(node: ast.expr) -> str | bytes | int | None:
    """The constant that an expression comes to, or None where it is not put together from constants alone.

    Sums, products, slices, f-strings, `join`, `chr`, `bytes`, `reversed` and the usual methods of texts are followed.
    """
    try:
        value = _value(node)
    except (TypeError, ValueError, IndexError, OverflowError, LookupError, RecursionError):
        return None
    return value if isinstance(value, str | bytes | int) else None


def _value(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part) for part in parts]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _short(_value(left) + _value(right))  # type: ignore[operator]
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            text, times = _value(left), _value(right)
            return _short(text * times) if isinstance(text, str) and isinstance(times, int) and times < 100 else None
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return _filled(_value(left), _value(right))
        case ast.JoinedStr(values=parts):
            return "".join(str(_value(part)) for part in parts)
        case ast.FormattedValue(value=value):
            return _known(_value(value))
        case ast.Subscript(value=value, slice=where):
            return _value(value)[_value(where)]  # type: ignore[index]
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(*(None if bound is None else _value(bound) for bound in (lower, upper, step)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)  # type: ignore[operator]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _called(name, [_value(argument) for argument in arguments])
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=arguments, keywords=[]):
            return _method(_value(value), method, [_value(argument) for argument in arguments])
    return _known(None)


def _filled(text: object, parts: object) -> object:
    """`text % parts`, without widths, which could ask for any length."""
    if not isinstance(text, str) or set(re.findall("%(.)", text)) - set("sc%"):
        return _known(None)
    return _short(text % (tuple(parts) if isinstance(parts, list) else parts))


def _called(name: str, arguments: list[object]) -> object:
    match name, arguments:
        case "chr", [int(code)]:
            return chr(code)
        case (("bytes" | "bytearray"), [list(codes)]):
            return bytes(codes)
        case (("str" | "list" | "tuple"), [value]):
            return value
        case "reversed", [str(text)]:
            return text[::-1]
        case "reversed", [list(parts)]:
            return parts[::-1]
    return _known(None)


def _method(value: object, method: str, arguments: list[object]) -> object:
    match value, method, arguments:
        case str(separator), "join", [list() | str() as parts]:
            return _short(separator.join(parts))
        case str(text), "format", _:
            return _short(text.format(*arguments)) if not set(":.[!") & set(text) else _known(None)
        case _, "decode", [str() | bytes() as text, "rot13" | "rot_13"]:
            return codecs.decode(str(text), "rot13")
        case (str() | bytes()) as text, _, _ if method in _METHODS:
            words = [one for one in arguments if isinstance(one, str | bytes | int)]
            sizes = [len(one) for one in words if not isinstance(one, int)]
            if len(words) < len(arguments) or len(text) * max(sizes, default=0) > 100 * _LONGEST:
                return _known(None)
            return _short(getattr(text, method)(*words))
        case _, "fromhex", [str(digits)]:
            return bytes.fromhex(digits)
    return _known(None)


def _known(value: object) -> object:
    if value is None:
        raise ValueError("not a constant")
    return value


def _short(value: object) -> object:
    """No expression of a few characters may make this grow without bounds."""
    if isinstance(value, str | bytes | list) and len(value) > _LONGEST:
        raise ValueError("too long")
    return value
