const axios = require("axios");
axios
  .post(process.env.URL + "/echo", { a: 1 }, { headers: { Authorization: "Bearer " + process.env.API_KEY }, timeout: 30000 })
  .then((answer) => console.log(JSON.stringify(answer.data)))
  .catch((error) => { console.error(error.message, error.response && JSON.stringify(error.response.data)); process.exit(1); });
