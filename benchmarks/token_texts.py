"""Texts in many languages, written for this project, to measure token counts on: a memo and a day at the sea."""

# ruff: noqa: RUF001 - these are texts of other scripts, not lookalikes of Latin letters

from __future__ import annotations

from typing import Final

__all__ = ["TEXTS"]

TEXTS: Final = {
    "English": (
        "Our support desk receives about four hundred messages a day. Most of them ask where a parcel is, how an "
        "invoice can be paid, or why a password no longer works. A small model answers these well enough. Whenever a "
        "customer mentions a lawyer, a contract or a complaint to the regulator, the message should go to the larger "
        "model, and a person should read the answer before it leaves the building. Please keep replies short, polite "
        "and free of promises that nobody has approved.\n"
        "On Saturday we took the train to the sea. The weather was better than expected, and the children ran to the "
        "beach at once. At noon we ate fish in a small place by the harbour, whose owner told us of his youth on a "
        "ship. Towards evening it grew cold, so we drank tea and played cards until the last train came."
    ),
    "German": (
        "Unser Kundendienst bekommt täglich ungefähr vierhundert Nachrichten. Die meisten fragen, wo ihr Paket bleibt, "
        "wie eine Rechnung bezahlt werden kann oder warum das Passwort nicht mehr funktioniert. Für solche Fragen "
        "genügt ein kleines Modell. Sobald jemand einen Anwalt, einen Vertrag oder eine Beschwerde bei der "
        "Aufsichtsbehörde erwähnt, soll die Nachricht an das größere Modell gehen, und ein Mensch liest die Antwort, "
        "bevor sie das Haus verlässt.\n"
        "Am Samstag fuhren wir mit dem Zug ans Meer. Das Wetter war besser als erwartet, und die Kinder liefen sofort "
        "zum Strand. Mittags aßen wir Fisch in einem kleinen Lokal am Hafen, dessen Besitzer uns von seiner Jugend auf "
        "dem Schiff erzählte. Gegen Abend wurde es kühl, also tranken wir Tee und spielten Karten, bis der letzte Zug "
        "kam."
    ),
    "French": (
        "Notre service client reçoit environ quatre cents messages par jour. La plupart demandent où se trouve un "
        "colis, comment régler une facture ou pourquoi un mot de passe ne fonctionne plus. Un petit modèle suffit pour "
        "y répondre. Dès qu'un client évoque un avocat, un contrat ou une plainte auprès de l'autorité de contrôle, le "
        "message doit être confié au grand modèle, et une personne relit la réponse avant qu'elle ne parte.\n"
        "Samedi, nous avons pris le train pour la mer. Il faisait plus beau que prévu et les enfants ont couru tout de "
        "suite vers la plage. À midi, nous avons mangé du poisson dans un petit restaurant du port, dont le patron "
        "nous a raconté sa jeunesse sur un bateau. Le soir, il a fait frais, alors nous avons bu du thé et joué aux "
        "cartes jusqu'au dernier train."
    ),
    "Spanish": (
        "Nuestro servicio de atención recibe unos cuatrocientos mensajes al día. La mayoría pregunta dónde está un "
        "paquete, cómo se paga una factura o por qué ya no funciona una contraseña. Para eso basta un modelo pequeño. "
        "Cuando alguien menciona a un abogado, un contrato o una queja ante el regulador, el mensaje debe ir al modelo "
        "grande y una persona revisará la respuesta antes de enviarla. Las respuestas serán breves, amables y sin "
        "promesas.\n"
        "El sábado fuimos en tren al mar. Hacía mejor tiempo de lo esperado y los niños corrieron enseguida a la "
        "playa. A mediodía comimos pescado en un pequeño restaurante del puerto, cuyo dueño nos contó su juventud en "
        "un barco. Por la tarde refrescó, así que tomamos té y jugamos a las cartas hasta que llegó el último tren."
    ),
    "Polish": (
        "Nasz dział obsługi dostaje codziennie około czterystu wiadomości. Większość osób pyta, gdzie jest przesyłka, "
        "jak zapłacić fakturę albo dlaczego hasło przestało działać. Na takie pytania wystarczy mały model. Gdy ktoś "
        "wspomina o prawniku, umowie lub skardze do urzędu, wiadomość powinna trafić do większego modelu, a odpowiedź "
        "przeczyta człowiek, zanim zostanie wysłana.\n"
        "W sobotę pojechaliśmy pociągiem nad morze. Pogoda była lepsza, niż się spodziewaliśmy, i dzieci od razu "
        "pobiegły na plażę. W południe zjedliśmy rybę w małej restauracji przy porcie, której właściciel opowiadał nam "
        "o swojej młodości na statku. Wieczorem zrobiło się chłodno, więc piliśmy herbatę i graliśmy w karty, aż "
        "przyjechał ostatni pociąg."
    ),
    "Finnish": (
        "Asiakaspalvelumme saa päivittäin noin neljäsataa viestiä. Useimmissa kysytään, missä paketti on, miten lasku "
        "maksetaan tai miksi salasana ei enää toimi. Pieni malli riittää näihin kysymyksiin. Kun joku mainitsee "
        "asianajajan, sopimuksen tai valituksen viranomaiselle, viesti siirretään suuremmalle mallille ja ihminen "
        "lukee vastauksen ennen lähettämistä.\n"
        "Lauantaina matkustimme junalla meren rannalle. Sää oli parempi kuin odotimme, ja lapset juoksivat heti "
        "rannalle. Keskipäivällä söimme kalaa pienessä ravintolassa sataman vieressä, ja sen omistaja kertoi "
        "nuoruudestaan laivalla. Illalla tuli viileää, joten joimme teetä ja pelasimme korttia, kunnes viimeinen juna "
        "saapui."
    ),
    "Turkish": (
        "Destek ekibimize her gün yaklaşık dört yüz mesaj geliyor. Çoğu kişi paketinin nerede olduğunu, faturasını "
        "nasıl ödeyeceğini ya da parolasının neden çalışmadığını soruyor. Bu sorular için küçük bir model yeterli. "
        "Birisi bir avukattan, sözleşmeden ya da resmi bir şikâyetten söz ettiğinde mesaj büyük modele gitmeli ve "
        "yanıt gönderilmeden önce bir insan tarafından okunmalıdır.\n"
        "Cumartesi günü trenle denize gittik. Hava beklediğimizden daha güzeldi ve çocuklar hemen sahile koştular. "
        "Öğlen limandaki küçük bir lokantada balık yedik; sahibi bize gemide geçen gençliğini anlattı. Akşama doğru "
        "hava serinledi, biz de son tren gelene kadar çay içip kâğıt oynadık."
    ),
    "Vietnamese": (
        "Bộ phận hỗ trợ của chúng tôi nhận khoảng bốn trăm tin nhắn mỗi ngày. Phần lớn hỏi gói hàng đang ở đâu, thanh "
        "toán hóa đơn thế nào hoặc vì sao mật khẩu không dùng được nữa. Một mô hình nhỏ là đủ cho những câu hỏi đó. "
        "Khi khách hàng nhắc đến luật sư, hợp đồng hay khiếu nại, tin nhắn phải được chuyển cho mô hình lớn và có "
        "người đọc lại câu trả lời trước khi gửi đi.\n"
        "Thứ bảy chúng tôi đi tàu ra biển. Thời tiết đẹp hơn mong đợi và bọn trẻ chạy ngay ra bãi cát. Buổi trưa chúng "
        "tôi ăn cá trong một quán nhỏ ở bến cảng, ông chủ kể cho chúng tôi nghe về tuổi trẻ của mình trên tàu. Đến tối "
        "trời mát, chúng tôi uống trà và chơi bài cho đến khi chuyến tàu cuối cùng tới."
    ),
    "Russian": (
        "Наша служба поддержки получает около четырёхсот сообщений в день. Чаще всего люди спрашивают, где находится "
        "посылка, как оплатить счёт или почему перестал работать пароль. Для таких вопросов хватает небольшой модели. "
        "Если клиент упоминает адвоката, договор или жалобу в надзорный орган, сообщение передаётся большой модели, а "
        "ответ читает человек, прежде чем он будет отправлен.\n"
        "В субботу мы поехали на поезде к морю. Погода была лучше, чем мы ожидали, и дети сразу побежали на пляж. В "
        "полдень мы ели рыбу в маленьком ресторане у порта, хозяин которого рассказал нам о своей молодости на "
        "корабле. К вечеру стало прохладно, поэтому мы пили чай и играли в карты, пока не пришёл последний поезд."
    ),
    "Ukrainian": (
        "Наша служба підтримки отримує близько чотирьохсот повідомлень на день. Найчастіше люди питають, де їхня "
        "посилка, як сплатити рахунок або чому перестав працювати пароль. Для таких питань вистачає невеликої моделі. "
        "Якщо клієнт згадує адвоката, договір чи скаргу, повідомлення передають більшій моделі, а відповідь читає "
        "людина.\n"
        "У суботу ми поїхали потягом до моря. Погода була кращою, ніж ми сподівалися, і діти одразу побігли на пляж. "
        "Опівдні ми їли рибу в маленькому ресторані біля порту, господар якого розповів нам про свою молодість на "
        "кораблі. Надвечір стало прохолодно, тож ми пили чай і грали в карти, доки не прийшов останній потяг."
    ),
    "Greek": (
        "Η υπηρεσία μας λαμβάνει περίπου τετρακόσια μηνύματα την ημέρα. Οι περισσότεροι ρωτούν πού βρίσκεται το δέμα "
        "τους, πώς πληρώνεται ένας λογαριασμός ή γιατί δεν λειτουργεί πια ο κωδικός τους. Για αυτές τις ερωτήσεις "
        "αρκεί ένα μικρό μοντέλο. Όταν κάποιος αναφέρει δικηγόρο ή σύμβαση, το μήνυμα πηγαίνει στο μεγάλο μοντέλο.\n"
        "Το Σάββατο πήγαμε με το τρένο στη θάλασσα. Ο καιρός ήταν καλύτερος απ' ό,τι περιμέναμε και τα παιδιά έτρεξαν "
        "αμέσως στην παραλία. Το μεσημέρι φάγαμε ψάρι σε ένα μικρό εστιατόριο στο λιμάνι, όπου ο ιδιοκτήτης μάς μίλησε "
        "για τα νιάτα του στο καράβι. Το βράδυ έκανε ψύχρα, οπότε ήπιαμε τσάι και παίξαμε χαρτιά."
    ),
    "Arabic": (
        "يتلقى فريق الدعم لدينا نحو أربعمئة رسالة في اليوم. يسأل معظم الناس عن مكان الطرد أو كيفية دفع الفاتورة أو سبب "
        "توقف كلمة المرور عن العمل. يكفي نموذج صغير للإجابة عن هذه الأسئلة. وعندما يذكر العميل محاميا أو عقدا أو شكوى "
        "رسمية، يجب أن تذهب الرسالة إلى النموذج الأكبر، وأن يقرأ إنسان الجواب قبل إرساله.\n"
        "ذهبنا يوم السبت بالقطار إلى البحر. كان الطقس أفضل مما توقعنا، وركض الأطفال فورا إلى الشاطئ. عند الظهر أكلنا "
        "السمك في مطعم صغير قرب الميناء، وحدثنا صاحبه عن شبابه على ظهر السفينة. في المساء صار الجو باردا، فشربنا الشاي "
        "ولعبنا الورق حتى وصل آخر قطار."
    ),
    "Hebrew": (
        "צוות התמיכה שלנו מקבל כארבע מאות הודעות ביום. רוב האנשים שואלים היכן החבילה שלהם, איך משלמים חשבון או מדוע "
        "הסיסמה כבר אינה עובדת. לשאלות כאלה מספיק מודל קטן. כאשר לקוח מזכיר עורך דין, חוזה או תלונה, ההודעה תעבור "
        "למודל הגדול ואדם יקרא את התשובה לפני שהיא נשלחת.\n"
        "בשבת נסענו ברכבת אל הים. מזג האוויר היה טוב משציפינו והילדים רצו מיד אל החוף. בצהריים אכלנו דג במסעדה קטנה "
        "ליד הנמל, ובעל המקום סיפר לנו על נעוריו באונייה. לקראת ערב נעשה קריר, אז שתינו תה ושיחקנו קלפים עד שהגיעה "
        "הרכבת האחרונה."
    ),
    "Hindi": (
        "हमारी सहायता टीम को हर दिन लगभग चार सौ संदेश मिलते हैं। ज़्यादातर लोग पूछते हैं कि उनका पार्सल कहाँ है, बिल "
        "कैसे भरा जाए या पासवर्ड अब काम क्यों नहीं कर रहा है। ऐसे सवालों के लिए एक छोटा मॉडल काफ़ी है। जब कोई ग्राहक "
        "वकील, अनुबंध या शिकायत की बात करे, तो संदेश बड़े मॉडल के पास जाना चाहिए और भेजने से पहले कोई व्यक्ति उत्तर "
        "पढ़े।\n"
        "शनिवार को हम रेलगाड़ी से समुद्र के किनारे गए। मौसम उम्मीद से अच्छा था और बच्चे तुरंत रेत की ओर दौड़ पड़े। "
        "दोपहर में हमने बंदरगाह के पास एक छोटे होटल में मछली खाई, जिसके मालिक ने हमें जहाज़ पर बीती अपनी जवानी के "
        "किस्से सुनाए। शाम को ठंड हो गई, इसलिए हमने चाय पी और आख़िरी गाड़ी आने तक ताश खेलते रहे।"
    ),
    "Thai": (
        "ฝ่ายบริการลูกค้าของเราได้รับข้อความประมาณสี่ร้อยข้อความต่อวัน คนส่วนใหญ่ถามว่าพัสดุอยู่ที่ไหน "
        "จ่ายใบแจ้งหนี้อย่างไร หรือทำไมรหัสผ่านจึงใช้ไม่ได้แล้ว โมเดลขนาดเล็กก็เพียงพอสำหรับคำถามเหล่านี้ "
        "เมื่อลูกค้าพูดถึงทนายความ สัญญา หรือการร้องเรียน ข้อความควรส่งไปยังโมเดลขนาดใหญ่\n"
        "วันเสาร์เรานั่งรถไฟไปทะเล อากาศดีกว่าที่คิดไว้ เด็กๆ วิ่งไปที่ชายหาดทันที ตอนเที่ยงเรากินปลาที่ร้านเล็กๆ "
        "ใกล้ท่าเรือ เจ้าของร้านเล่าเรื่องวัยหนุ่มบนเรือให้เราฟัง ตอนเย็นอากาศเย็นลง "
        "เราจึงดื่มชาและเล่นไพ่จนรถไฟขบวนสุดท้ายมาถึง"
    ),
    "Chinese, simplified": (
        "我们的客服部门每天大约收到四百条消息。大多数人询问包裹在哪里、账单怎样支付，或者密码为什么不能用了。回答这些问"
        "题，一个小模型就够了。如果客户提到律师、合同，或者要向监管机构投诉，消息就应该交给更大的模型，并且由人先读过回"
        "答再发出去。请保持回答简短、礼貌，不要作出没有得到批准的承诺。\n"
        "星期六我们坐火车去海边。天气比想象的好，孩子们马上跑到沙滩上。中午我们在港口旁边的一家小饭馆吃鱼，老板给我们讲"
        "了他年轻时在船上的故事。傍晚天凉了，我们就喝茶、打牌，一直等到最后一班火车。"
    ),
    "Chinese, traditional": (
        "我們的客服部門每天大約收到四百則訊息。大多數人詢問包裹在哪裡、帳單怎樣支付，或者密碼為什麼不能用了。回答這些問"
        "題，一個小模型就夠了。如果客戶提到律師、合約，或者要向主管機關投訴，訊息就應該交給更大的模型，並且由人先讀過回"
        "答再寄出去。\n"
        "星期六我們坐火車去海邊。天氣比想像的好，孩子們馬上跑到沙灘上。中午我們在港口旁邊的一家小飯館吃魚，老闆給我們講"
        "了他年輕時在船上的故事。傍晚天涼了，我們就喝茶、打牌，一直等到最後一班火車。"
    ),
    "Japanese": (
        "私たちのサポート窓口には一日におよそ四百件の問い合わせが届きます。荷物はどこにあるのか、請求書はどう支払えばよ"
        "いのか、なぜパスワードが使えなくなったのか、といった質問がほとんどです。このような質問には小さなモデルで十分で"
        "す。お客様が弁護士や契約、役所への苦情に触れたときは、大きなモデルに回し、送る前に人が回答を確認してください。\n"
        "土曜日に電車で海へ行きました。天気は思ったよりよく、子どもたちはすぐに浜辺へ走っていきました。昼は港の小さな食"
        "堂で魚を食べ、主人が船に乗っていた若いころの話をしてくれました。夕方は涼しくなったので、最後の電車が来るまでお"
        "茶を飲みながらトランプをしました。"
    ),
    "Korean": (
        "우리 고객 지원팀은 하루에 약 사백 건의 문의를 받습니다. 대부분은 소포가 어디에 있는지, 청구서를 어떻게 결제하"
        "는지, 비밀번호가 왜 작동하지 않는지 묻습니다. 이런 질문에는 작은 모델이면 충분합니다. 고객이 변호사나 계약, 민"
        "원을 언급하면 더 큰 모델로 보내고, 보내기 전에 사람이 답변을 읽어야 합니다.\n"
        "토요일에 우리는 기차를 타고 바다에 갔습니다. 날씨가 생각보다 좋아서 아이들은 바로 해변으로 달려갔습니다. 점심"
        "에는 항구 옆 작은 식당에서 생선을 먹었는데, 주인이 배를 타던 젊은 시절 이야기를 들려주었습니다. 저녁에는 쌀쌀"
        "해져서 마지막 기차가 올 때까지 차를 마시며 카드놀이를 했습니다."
    ),
    "emoji": (
        "Great work, team! 🎉🎉 The release is out 🚀 and the dashboards look fine ✅📊. Coffee is on me ☕😀. Thanks "
        "to everyone who stayed late 🙏❤️, and see you on Monday 👋🌍 😅🔥💡🐍🤖"
    ),
}
"""By language."""
