-- Read calls. KEYS: meta. Arguments from 3 on: a list of their ids.
-- Answers for each, nothing for one that is gone: id of its entry, when reserved, its end, facts, and a list of names and of texts with
-- the limbs of what is held, in turn.
local answer = {}
for index, id in ipairs(ARGUMENTS[3]) do
  local call, lines = load_call(PREFIX .. 'c:' .. id), {}
  for _, line in ipairs(call and call[LINES] or {}) do
    lines[#lines + 1] = line[1]
    lines[#lines + 1] = string.format('%.0f %.0f', line[2], line[3])
  end
  answer[index] = call and { call[ENTRY] or '', text(call[AT]), text(call[ENDS_AT] or 0), call[FACTS], lines } or {}
end
return answer
