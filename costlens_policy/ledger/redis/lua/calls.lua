-- Read calls. KEYS: clock. Texts: their ids.
-- Answers for each: id of its entry, when reserved, its end, facts, lines held; nothing for one that is gone.
local answer = {}
for id in next_text do
  local known = call('GET', PREFIX .. 'c:' .. id)
  local reserved_at, ends_at, _, _, _, entry, facts, length, lines = string.match(known or '', CALL)
  answer[#answer + 1] = known and { entry, reserved_at, ends_at, facts, string.sub(lines, 1, tonumber(length)) } or {}
end
return answer
