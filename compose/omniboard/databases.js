"use strict";
// The one database that Omniboard shows, at /sacristy.
module.exports = { sacristy: { mongodbURI: process.env.MONGO_URI, path: "/sacristy" } };
