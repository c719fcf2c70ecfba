-- SPDX-License-Identifier: GPL-2.0-or-later
-- For wrk: six paths and two methods in turn, of which one is not found and one fails.
local requests = {
    { "GET", "/" }, { "GET", "/items/7" }, { "GET", "/items/1044/reviews" },
    { "POST", "/orders" }, { "GET", "/missing" }, { "GET", "/failing" },
}
local turn = 0
request = function()
    turn = turn % #requests + 1
    return wrk.format(requests[turn][1], requests[turn][2])
end
