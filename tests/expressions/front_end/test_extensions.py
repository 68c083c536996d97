"""The extension libraries as their documentation describes them: each line holds, or fails."""

from __future__ import annotations

import pytest

from costlens_policy.expressions import BOOL, Environment, analyze
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError

_HOLDS = r"""
cel.bind(a, 'hello', cel.bind(b, 'world', a + b + b + a)) == 'helloworldworldhello'
cel.bind(valid, [1, 2, 3], [3, 4, 5].exists(e, e in valid))
cel.bind(never, 1 / 0, true)
base64.decode('aGVsbG8=') == b'hello'
base64.encode(b'hello') == 'aGVsbG8='
math.greatest(1u, 2u) == 2u
math.greatest(-42.0, -21.5, -100.0) == -21.5
math.greatest([-42.0, -21.5, -100.0]) == -21.5
math.least(1, 2.0, 3u) == 1
math.bitOr(1u, 2u) == 3u
math.bitAnd(-3, -5) == -7
math.bitXor(3u, 5u) == 6u
math.bitNot(0u) == 18446744073709551615u
math.bitShiftLeft(-1, 2) == -4
math.bitShiftRight(1024u, 64) == 0u
math.ceil(-1.2) == -1.0
math.floor(-1.2) == -2.0
math.round(-1.5) == -2.0
math.round(2.5) == 3.0
math.trunc(-1.3) == -1.0
math.abs(-1) == 1
math.sign(-42) == -1
math.isInf(1.0 / 0.0)
math.isNaN(0.0 / 0.0)
!math.isFinite(0.0 / 0.0)
math.sqrt(81) == 9.0
math.isNaN(math.sqrt(-15))
[1, 2, 2, 3, 3, 3].distinct() == [1, 2, 3]
[1, 'b', 2, 'b'].distinct() == [1, 'b', 2]
[1, [2, 3], [4]].flatten() == [1, 2, 3, 4]
[1, [2, [3, 4]]].flatten() == [1, 2, [3, 4]]
[1, [2, [3, [4]]]].flatten(2) == [1, 2, 3, [4]]
lists.range(5) == [0, 1, 2, 3, 4]
[5, 3, 1, 2].reverse() == [2, 1, 3, 5]
[1, 2, 3, 4].slice(1, 3) == [2, 3]
[3, 2, 1].sort() == [1, 2, 3]
['b', 'c', 'a'].sort() == ['a', 'b', 'c']
[{'n': 'foo', 's': 0}, {'n': 'bar', 's': -10}].sortBy(e, e.s).map(e, e.n) == ['bar', 'foo']
[1, 2, 3].last().value() == 3
[].first().orValue('test') == 'test'
sets.contains([1, 2, 3, 4], [2, 3])
sets.contains([1, 2.0, 3u], [1.0, 2u, 3])
sets.equivalent([1, 2, 3], [3u, 2.0, 1])
sets.intersects([[1], [2, 3]], [[1, 2], [2, 3.0]])
!sets.intersects([1], [])
'hello'.charAt(4) == 'o'
'hello mellow'.indexOf('ello', 2) == 7
'hello mellow'.lastIndexOf('ello', 6) == 1
['hello', 'mellow'].join(' ') == 'hello mellow'
'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii'
strings.quote('a "b"\n') == '"a \\"b\\"\\n"'
'hello hello'.replace('he', 'we', 1) == 'wello hello'
'hello hello hello'.split(' ', 2) == ['hello', 'hello hello']
'tacocat'.substring(0, 4) == 'taco'
'  \ttrim\n    '.trim() == 'trim'
'gums'.reverse() == 'smug'
'%s costs %.2f'.format(['a', 1.5]) == 'a costs 1.50'
[1, 2, 3].all(i, j, i < j)
!{'hello': 'world', 'taco': 'taco'}.all(k, v, k != v)
{'h': ['hello', 'hi'], 'j': ['joke', 'jog']}.all(k, vals, vals.all(v, v.startsWith(k)))
[1, 1, 2, 2, 3, 3].existsOne(i, v, i == 2 && v == 2)
[1, 2, 3].transformList(i, v, i % 2 == 0, (i * v) + v) == [1, 9]
{'a': 'b'}.transformList(k, _, k) == ['a']
[1, 2, 3].transformMap(i, v, (i * v) + v) == {0: 1, 1: 4, 2: 9}
{'greeting': 'hello'}.transformMapEntry(k, v, {v: k}) == {'hello': 'greeting'}
regex.replace('banana', 'a', 'x', 2) == 'bxnxna'
regex.replace('foo bar', '(fo)o (ba)r', r'\2 \1') == 'ba fo'
regex.extract('item-A, item-B', r'item-(\w+)') == optional.of('A')
regex.extract('HELLO', 'hello') == optional.none()
regex.extractAll('id:123, id:456', r'id:\d+') == ['id:123', 'id:456']
optional.of(1).or(optional.of(2)).value() == 1
optional.unwrap([optional.of(1), optional.none()]) == [1]
[optional.of(1), optional.none()].unwrapOpt() == [1]
optional.ofNonZeroValue(0).orValue(7) == 7
optional.of(42).optMap(y, y + 1).value() == 43
{'a': {'b': 1}}.?a.optFlatMap(m, m.?b) == optional.of(1)
{'a': {'b': 1}}.?a.b.orValue(0) == 1
[1, 2][?5].orValue(9) == 9
ip('192.168.0.1').family() == 4
cidr('10.0.0.0/8').containsIP('10.1.2.3')
isIP('::1') && !isIP('a')
isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0')
hash('team-a') >= 0 && hash('team-a') < 10000 && hash('team-a') == hash('team-a')
hash('team-a', 'one') != hash('team-a', 'two')
'gpt-4o-mini'.glob('gpt-*') && !'a-gpt-4'.glob('gpt-*')
"""
_FAILS = r"""
base64.decode(dyn('%')) == b''
math.abs(-9223372036854775808) == 1
math.greatest(dyn('string')) == 1
math.greatest([]) == 1
math.bitShiftLeft(1, -1) == 1
[1, [2]].flatten(-1) == []
[1, 'b'].sort() == []
'hello'.charAt(-1) == ''
'hello'.charAt(6) == ''
'tacocat'.substring(2, 1) == ''
{'a': 'x', 'b': 'x'}.transformMapEntry(k, v, {v: k}) == {}
regex.replace('test', '(.)', r'\2') == ''
regex.extract('a@b', '(.*)@([^.]*)') == optional.none()
optional.none().value() == 1
cel.bind(used, 1 / 0, used > 0)
ip('10.0.0.0/8') == ip('10.0.0.0')
"""


@pytest.mark.parametrize("line", _HOLDS.strip().splitlines())
def test_what_the_documentation_says_holds(line: str) -> None:
    analyzed = analyze(line, Environment({}), BOOL)
    assert analyzed.typed is not None, analyzed.problems
    assert compile_expression(analyzed.typed, ())() is True


@pytest.mark.parametrize("line", _FAILS.strip().splitlines())
def test_what_the_documentation_calls_an_error_fails(line: str) -> None:
    typed = analyze(line, Environment({}), BOOL).typed
    if typed is not None:
        with pytest.raises(CelError):
            compile_expression(typed, ())()
