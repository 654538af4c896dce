curl -sS --fail-with-body -H "Authorization: Bearer $API_KEY" -d '{"a":1}' "$URL/echo"
