-- Read what never changes of accounts. KEYS: meta. Arguments from 3 on: a list of names. Answers for each: start, reset and length of
-- its period, '' where there is none.
local answer = {}
for _, name in ipairs(ARGUMENTS[3]) do
  for _, at in ipairs({ unpack(load(name).row, 9, 11) }) do
    answer[#answer + 1] = at and text(at) or ''
  end
end
return answer
