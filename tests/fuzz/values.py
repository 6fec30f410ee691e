"""What nobody should write, and somebody does: words, numbers, addresses, bytes; and changes of texts."""

from random import Random

from tests.fuzz.case import SECRET

_SHORT_NUMBERS = """
0 -0 -1 1 2 7 1e400 -1e400 1e-400 0.0 -0.5 1e308 3.7 1_000 0x10 0o17 .nan .inf -.inf nan inf NaN 18446744073709551616
9223372036854775808 -9223372036854775809 1e18 2147483648 ١٢ 1,5 1:30 99999999999999999999999999999
"""
_SHORT_WORDS = """
~ null true False yes on 2024-01-01 a digits smallconv simclr cg float é 日本 \u202eevil \ufeff 𝟏 ﬁ \U0001f4a9 ../..
/ . .. ~nosuch/x a/b ' " \\ %s {0} { $(x) `x` [b]x[/b] [/] -- - -1 = a=b =b a= , ,, ; # * a:b <x>
"""
NUMBERS = (*_SHORT_NUMBERS.split(), "9" * 400, "9" * 5000, "0x" + "f" * 5000, "1" + "0" * 4299)
WORDS = (
    *_SHORT_WORDS.split(),
    *("", " ", "\u00a0", "\udcff", "a: b", "\x1b[31mred", "a\nb", "a\tb", "a\rb", "\x07"),
    *("a" * 300, "a" * 5000, "a b " * 2000, "é\u00a0" * 900, "'a' " * 900),
)
_SHORT_ADDRESSES = """
https:// https:///x hf:// hf://o/n hf://o/n@r/x.pth timm/ timm/nosuch.a1 s3:// gs:// :// file:/// file://x/y file:x ray://
s3:/b s3://b?x s3://b/../.. 127.0.0.1:1 auto local
"""
ADDRESSES = (
    f"https://user:{SECRET}@host.invalid/x.pth",
    f"https://host.invalid/x.pth?token={SECRET}",
    f"HTTPS://{SECRET}@host.invalid/x.pth",
    f"http://host.invalid:99999/x?a={SECRET}",
    f"https://[host.invalid/x?key={SECRET}",
    f"https://host.invalid/x.pth#token={SECRET}",
    f"hf://user:{SECRET}@o/n/x.pth",
    f"s3://AKIAABCDEFGHIJKLMNOP:{SECRET}@bucket/x",
    f"s3://bucket/x?access_key=AKIAABCDEFGHIJKLMNOP&secret_key={SECRET}&endpoint_override=127.0.0.1:1",
    f"gs://{SECRET}:{SECRET}@bucket/x",
    f"abfs://user:{SECRET}@account/x",
    f"ray://user:{SECRET}@127.0.0.1:1",
    f"foo://a:{SECRET}@b/c",
    *_SHORT_ADDRESSES.split(),
)
YAML = (
    *(
        "!!bool q",
        "!!timestamp x",
        "!!int x",
        "!!float x",
        "!!python/object:os.system x",
        "!x y",
        "!!binary =",
        "!!set {a}",
    ),
    *("*nosuch", "&a [*a]", "&a {b: *a}", "[]", "{}", "[1, [2, [3, [4]]]]", "{a: {b: {c: {d: {}}}}}", "| \n  x", "> x"),
    *("? a", "'unended", '"\\ud800"', '"\\x00"', '"\\q"', "%YAML 1.2", "---", "...", "[" * 60, "{a: " * 60, "- a"),
    *("a: b: c", "<<: 1"),
)
NAMES = (
    *("folder", "fifo", "gone", "nosuch", "empty", "binary.pth"),
    *("text.yaml", "space.yaml", "folder/x", "text.yaml/x"),
)
"""Of what lies in a case's folder, or does not."""


def scalar(random: Random) -> str:
    """A word or a number, as it may stand in YAML, JSON or on a command line."""
    return random.choice(random.choice((NUMBERS, WORDS, YAML, NAMES, ADDRESSES)))


def changed_bytes(random: Random, content: bytes) -> bytes:
    """A few bytes changed, cut off, doubled, taken out or put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 5, 20))):
        place = random.randrange(len(data) + 1)
        match random.randrange(7):
            case 0 | 1 | 2 if data:
                data[place % len(data)] ^= 1 << random.randrange(8)
            case 3:
                del data[place : place + random.choice((1, 2, 10, 100, 10**9))]
            case 4:
                data[place:place] = random.randbytes(random.choice((1, 2, 8)))
            case 5:
                data[place:place] = data[place : place + random.choice((1, 8, 64, 512))]
            case _:
                data[place : place + 8] = random.choice((b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7))[
                    : len(data) - place
                ]
    return bytes(data)


def changed_text(random: Random, text: str) -> str:
    """Lines doubled, taken out, moved, indented, cut, or with another value, key or character."""
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        if not lines:
            return scalar(random)
        place = random.randrange(len(lines))
        line = lines[place]
        match random.randrange(10):
            case 0:
                lines.insert(place, line)
            case 1:
                del lines[place]
            case 2:
                lines.insert(random.randrange(len(lines)), lines.pop(place))
            case 3:
                lines[place] = random.choice((" ", "  ", "\t", "    ")) + line
            case 4:
                lines[place] = line[random.randrange(len(line) + 1) :]
            case 5 | 6 | 7:
                key, colon, value = line.partition(":")
                lines[place] = f"{key}{colon} {scalar(random)}" if colon else scalar(random) + value
            case 8:
                key, colon, value = line.partition(":")
                indent = key[: len(key) - len(key.lstrip())]
                lines[place] = f"{indent}{scalar(random)}{colon}{value}"
            case _:
                at = random.randrange(len(line) + 1)
                lines[place] = line[:at] + random.choice(WORDS) + line[at + random.randrange(3) :]
    return "\n".join(lines) + "\n"


def changed_tree(random: Random, tree: object) -> object:
    """A nested value with one part of it of another kind, gone, doubled or nested."""
    if isinstance(tree, dict) and tree and random.random() < 0.85:
        key = random.choice(list(tree))
        match random.randrange(8):
            case 0:
                return {name: value for name, value in tree.items() if name != key}
            case 1:
                return {(random.choice(WORDS) if name == key else name): value for name, value in tree.items()}
            case 2:
                return {**tree, random.choice(WORDS): thing(random)}
        return {**tree, key: changed_tree(random, tree[key])}
    if isinstance(tree, list) and tree and random.random() < 0.7:
        place = random.randrange(len(tree))
        return [changed_tree(random, each) if number == place else each for number, each in enumerate(tree)]
    return thing(random)


def thing(random: Random) -> object:
    """Any value that JSON knows, or nearly."""
    return random.choice(
        (
            *(
                None,
                True,
                False,
                0,
                1,
                -1,
                10**30,
                10**400,
                2**63,
                1.5,
                1e308,
                float("inf"),
                float("nan"),
                "",
                [],
                {},
                [[]],
            ),
            *([None], {"a": 1}, {"": {}}, [1, "a", None], "x" * 3000, random.choice(WORDS), random.choice(NUMBERS)),
            *(
                random.choice(ADDRESSES),
                [random.choice(WORDS)] * 3,
                {random.choice(WORDS): random.choice(WORDS)},
                [[[[[]]]]],
            ),
        )
    )
